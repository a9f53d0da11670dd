// SPDX-License-Identifier: MIT
//
// A connection to the service that is kept alive.
#pragma once

#include <cstdint>
#include <string>
#include <utility>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/verb.hpp>

namespace load {

struct Answer {
  unsigned status = 0;
  std::string body;
  bool is_last = false;  ///< the service closes the connection
};

class Client {
 public:
  /// Connects. Throws boost::system::system_error.
  Client(boost::asio::io_context& io, std::uint16_t port);

  /// Throws boost::system::system_error if no answer has come within half a minute.
  boost::asio::awaitable<Answer> ask(boost::beast::http::verb verb, std::string target,
                                     std::string body);
  boost::asio::awaitable<Answer> post(std::string target, std::string body) {
    return ask(boost::beast::http::verb::post, std::move(target), std::move(body));
  }

 private:
  boost::beast::tcp_stream stream_;
  boost::beast::flat_buffer buffer_;
};

}  // namespace load
