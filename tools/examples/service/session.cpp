// SPDX-License-Identifier: MIT
#include "session.hpp"

#include <array>
#include <chrono>
#include <memory>
#include <optional>
#include <utility>

#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/write.hpp>

namespace service {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using boost::system::error_code;
using Clock = std::chrono::steady_clock;
using Parser = http::request_parser<http::string_body>;
using namespace std::chrono_literals;

constexpr auto kLongestPause = 60s;  ///< of a client, in a request or between two
constexpr auto kLongestFarewell = 1s;

struct Connection {
  explicit Connection(asio::ip::tcp::socket socket) : stream(std::move(socket)) {}

  beast::tcp_stream stream;
  beast::flat_buffer buffer;
  bool idle = true;  ///< no request is there yet
};

/// The token of operations that say in `error` how they went.
auto into(error_code& error) {
  return asio::redirect_error(asio::use_awaitable, error);
}

asio::awaitable<error_code> read(Connection& connection, Parser& parser) {
  error_code error;
  connection.idle = true;
  connection.stream.expires_after(kLongestPause);
  co_await http::async_read_header(connection.stream, connection.buffer, parser, into(error));
  connection.idle = false;
  if (error) co_return error;
  if (beast::iequals(parser.get()[http::field::expect], "100-continue")) {
    const http::response<http::empty_body> go_on(http::status::continue_, 11);
    co_await http::async_write(connection.stream, go_on, into(error));
  }
  if (!error) co_await http::async_read(connection.stream, connection.buffer, parser, into(error));
  co_return error;
}

/// Of a request that could not be read; nothing, if there is nobody to answer.
std::optional<Reply> reply_to(const error_code& error) {
  if (error == http::error::body_limit)
    return problem(Status::payload_too_large, "the body is too large");
  const bool is_garbage = error.category() == http::make_error_code(http::error{}).category();
  if (is_garbage && error != http::error::end_of_stream && error != http::error::partial_message)
    return problem(Status::bad_request, error.message());
  return std::nullopt;
}

asio::awaitable<error_code> write(Connection& connection, Reply& reply, unsigned version,
                                  bool keep_alive) {
  http::response<http::string_body> response(reply.status, version, std::move(reply.body));
  response.set(http::field::content_type, reply.type);
  response.keep_alive(keep_alive);
  response.prepare_payload();
  error_code error;
  connection.stream.expires_after(kLongestPause);
  co_await http::async_write(connection.stream, response, into(error));
  co_return error;
}

/// A socket that is closed while bytes of the client's come in takes the answer with it.
asio::awaitable<void> say_farewell(Connection& connection) {
  error_code error;
  connection.stream.socket().shutdown(asio::ip::tcp::socket::shutdown_send, error);
  connection.stream.expires_after(kLongestFarewell);
  std::array<char, 4096> ignored;
  while (!error) co_await connection.stream.async_read_some(asio::buffer(ignored), into(error));
}

}  // namespace

asio::awaitable<void> serve(asio::ip::tcp::socket socket, House house) {
  const auto connection = std::make_shared<Connection>(std::move(socket));
  const auto strand = connection->stream.get_executor();
  const Sessions::Entry entry(house.sessions, [weak = std::weak_ptr(connection), strand] {
    asio::post(strand, [weak] {
      error_code error;
      const auto here = weak.lock();
      if (here && here->idle && here->stream.socket().available(error) == 0) here->stream.cancel();
    });
  });
  for (bool more = true; more;) {
    Parser parser;
    parser.body_limit(house.largest_body);
    const error_code failure = co_await read(*connection, parser);
    const auto begin = Clock::now();
    std::optional<Reply> reply = reply_to(failure);
    if (!failure) reply = co_await house.routes.answer(parser.get());
    if (!reply) co_return;
    house.metrics.count(static_cast<unsigned>(reply->status), Clock::now() - begin);
    more = !failure && parser.get().keep_alive() && !house.sessions.ending();
    const unsigned version = parser.get().version() == 10 ? 10 : 11;
    const error_code unheard = co_await write(*connection, *reply, version, more);
    if (unheard) co_return;
  }
  co_await say_farewell(*connection);
}

}  // namespace service
