// SPDX-License-Identifier: MIT
#include "routes.hpp"

#include "image.hpp"
#include "misbehave.hpp"
#include <bulkhead/asio.hpp>

#include <exception>
#include <string>
#include <string_view>
#include <utility>

#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/http/verb.hpp>

namespace service {
namespace {

namespace asio = boost::asio;
using boost::beast::http::verb;
using bulkhead::CallOptions;
using bulkhead::FailureKind;

/// A worker may be killed for nothing that the image has done: by the kernel when memory is short,
/// or by an operator. To measure an image again does no harm.
constexpr int kMoreAttempts = 5;

Status status_of(FailureKind kind) {
  switch (kind) {
    case FailureKind::exception:
      return Status::unprocessable_entity;
    case FailureKind::timed_out:
      return Status::gateway_timeout;
    case FailureKind::out_of_memory:
      return Status::payload_too_large;
    case FailureKind::cancelled:
    case FailureKind::not_run:
      return Status::service_unavailable;
    case FailureKind::crashed:
      break;
  }
  return Status::internal_server_error;
}

Reply failed(const bulkhead::Failure& failure) {
  return json(status_of(failure.kind()), {{"error", failure.message()},
                                          {"kind", to_string(failure.kind())},
                                          {"attempts", failure.attempt()},
                                          {"backtrace", failure.backtrace()}});
}

Reply overloaded() {
  return problem(Status::service_unavailable, "too many requests at a time, try again");
}

}  // namespace

asio::awaitable<Reply> Routes::answer(const Request& request) {
  try {
    const std::string_view target(request.target().data(), request.target().size());
    const bool is_get = target == "/healthz" || target == "/metrics";
    const bool is_post = target == "/image" || target.substr(0, 6) == "/crash";
    if (!is_get && !is_post) co_return problem(Status::not_found, "no such route");
    if (request.method() != (is_get ? verb::get : verb::post))
      co_return problem(Status::method_not_allowed, is_get ? "GET it" : "POST to it");
    if (target == "/healthz") co_return Reply{Status::ok, "ok\n", "text/plain"};
    if (target == "/metrics") co_return Reply{Status::ok, metrics_.text(), Metrics::kType};
    co_return co_await post(request);
  } catch (const bulkhead::RemoteError& error) {
    co_return failed(error.failure());
  } catch (const bulkhead::Error& error) {  // the pool has been closed
    co_return problem(Status::service_unavailable, error.what());
  } catch (const std::exception& error) {
    co_return problem(Status::internal_server_error, error.what());
  }
}

asio::awaitable<Reply> Routes::post(const Request& request) {
  const std::string target(request.target());
  if (target == "/image") co_return co_await image(request);
  if (target == "/crash") co_return co_await crash(dereference_null);
  if (target == "/crash/abort") co_return co_await crash(give_up);
  if (target == "/crash/hang") co_return co_await crash(hang);
  co_return problem(Status::not_found, "it can crash in no such way");
}

asio::awaitable<Reply> Routes::image(const Request& request) {
  const CallOptions options{.timeout = longest_, .retries = {.crashes = kMoreAttempts}};
  const auto result = pool_.try_submit(options, measure, request.body());
  if (!result) co_return overloaded();
  const auto executor = co_await asio::this_coro::executor;
  const Picture picture = co_await bulkhead::async_get(executor, *result, asio::use_awaitable);
  co_return json(
      Status::ok,
      {{"width", picture.width},
       {"height", picture.height},
       {"mean", {{"red", picture.red}, {"green", picture.green}, {"blue", picture.blue}}}});
}

asio::awaitable<Reply> Routes::crash(void (*task)()) {
  const auto result = pool_.try_submit(CallOptions{.timeout = longest_}, task);
  if (!result) co_return overloaded();
  const auto executor = co_await asio::this_coro::executor;
  co_await bulkhead::async_get(executor, *result, asio::use_awaitable);
  co_return problem(Status::internal_server_error, "it did not crash");
}

}  // namespace service
