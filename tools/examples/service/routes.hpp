// SPDX-License-Identifier: MIT
//
// What each request is answered. Whatever may go wrong with an upload happens in a worker of the
// pool; here it is a status.
#pragma once

#include "metrics.hpp"
#include "reply.hpp"
#include <bulkhead/pool.hpp>

#include <chrono>

#include <boost/asio/awaitable.hpp>

namespace service {

class Routes {
 public:
  /// No task may run for longer than `longest`.
  Routes(bulkhead::Pool& pool, Metrics& metrics, std::chrono::milliseconds longest)
      : pool_(pool), metrics_(metrics), longest_(longest) {}

  /// Any thread. Throws nothing.
  boost::asio::awaitable<Reply> answer(const Request& request);

 private:
  boost::asio::awaitable<Reply> post(const Request& request);
  boost::asio::awaitable<Reply> image(const Request& request);
  boost::asio::awaitable<Reply> crash(void (*task)());

  bulkhead::Pool& pool_;
  Metrics& metrics_;
  const std::chrono::milliseconds longest_;
};

}  // namespace service
