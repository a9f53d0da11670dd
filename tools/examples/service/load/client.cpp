// SPDX-License-Identifier: MIT
#include "client.hpp"

#include <chrono>
#include <utility>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>

namespace load {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using asio::ip::tcp;
using namespace std::chrono_literals;

Client::Client(asio::io_context& io, std::uint16_t port) : stream_(io) {
  stream_.connect(tcp::endpoint(asio::ip::address_v4::loopback(), port));
  stream_.socket().set_option(tcp::no_delay(true));
}

asio::awaitable<Answer> Client::ask(http::verb verb, std::string target, std::string body) {
  http::request<http::string_body> request(verb, target, 11, std::move(body));
  request.set(http::field::host, "127.0.0.1");
  request.prepare_payload();
  stream_.expires_after(30s);
  co_await http::async_write(stream_, request, asio::use_awaitable);
  http::response<http::string_body> response;
  co_await http::async_read(stream_, buffer_, response, asio::use_awaitable);
  Answer answer;
  answer.status = response.result_int();
  answer.body = std::move(response.body());
  answer.is_last = !response.keep_alive();
  co_return answer;
}

}  // namespace load
