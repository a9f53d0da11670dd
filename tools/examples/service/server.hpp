// SPDX-License-Identifier: MIT
//
// The listening socket, and the orderly end.
#pragma once

#include "session.hpp"

#include <chrono>
#include <cstdint>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>

namespace service {

class Server {
 public:
  /// Listens on the loopback address; on any free port if `port` is 0. Throws
  /// boost::system::system_error.
  Server(boost::asio::io_context& io, std::uint16_t port, House house);

  [[nodiscard]] std::uint16_t port() const { return acceptor_.local_endpoint().port(); }
  /// Accepts connections until drain(). Both run on the server's own strand.
  boost::asio::awaitable<void> accept();
  /// Takes no connection any more; requests that have been made, or are made in a moment, are
  /// answered, and then all connections closed. True if that took no longer than `patience`.
  boost::asio::awaitable<bool> drain(std::chrono::milliseconds patience);
  [[nodiscard]] auto executor() { return acceptor_.get_executor(); }

 private:
  boost::asio::io_context& io_;
  House house_;
  boost::asio::ip::tcp::acceptor acceptor_;
};

}  // namespace service
