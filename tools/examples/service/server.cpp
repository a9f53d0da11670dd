// SPDX-License-Identifier: MIT
#include "server.hpp"

#include <utility>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace service {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using Clock = std::chrono::steady_clock;
using namespace std::chrono_literals;

/// A request that is on its way while the service begins to end is answered, too.
constexpr auto kGrace = 500ms;
constexpr auto kLookAgain = 10ms;

asio::awaitable<void> pause(Clock::duration time) {
  asio::steady_timer timer(co_await asio::this_coro::executor, time);
  co_await timer.async_wait(asio::use_awaitable);
}

}  // namespace

Server::Server(asio::io_context& io, std::uint16_t port, House house)
    : io_(io),
      house_(house),
      acceptor_(asio::make_strand(io), tcp::endpoint(asio::ip::address_v4::loopback(), port)) {}

asio::awaitable<void> Server::accept() {
  while (acceptor_.is_open()) {
    boost::system::error_code error;
    tcp::socket socket(asio::make_strand(io_));
    co_await acceptor_.async_accept(socket, asio::redirect_error(asio::use_awaitable, error));
    if (!error) socket.set_option(tcp::no_delay(true), error);
    if (!error) {
      const auto strand = socket.get_executor();
      asio::co_spawn(strand, serve(std::move(socket), house_), asio::detached);
    } else if (acceptor_.is_open()) {
      co_await pause(kLookAgain);  // too many open files: some will be closed
    }
  }
}

asio::awaitable<bool> Server::drain(std::chrono::milliseconds patience) {
  const auto end = Clock::now() + patience;
  acceptor_.close();
  house_.sessions.begin_to_end();
  const auto grace_ends = Clock::now() + kGrace;
  while (house_.sessions.open() != 0) {
    const auto now = Clock::now();
    if (now >= end) co_return false;
    if (now >= grace_ends) house_.sessions.hang_up_idle();
    co_await pause(kLookAgain);
  }
  co_return true;
}

}  // namespace service
