// SPDX-License-Identifier: MIT
//
// A pool in a program of coroutines: each connection waits for its own task, and only for that.
#include <bulkhead/asio.hpp>

#include <cmath>
#include <cstdio>
#include <future>
#include <stdexcept>
#include <string>
#include <vector>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>

namespace {

using boost::asio::use_awaitable;

double root(double x) {
  if (x < 0) throw std::domain_error("root of a negative number");
  return std::sqrt(x);
}

boost::asio::awaitable<std::string> connection(boost::asio::io_context& io, bulkhead::Pool& pool,
                                               double x) {
  try {
    const double y = co_await bulkhead::async_get(io, pool.apply_async(root, x), use_awaitable);
    co_return std::to_string(y);
  } catch (const bulkhead::RemoteError& error) {
    co_return error.failure().message();
  }
}

}  // namespace

int main() {
  boost::asio::io_context io;
  bulkhead::Pool pool(2);  // ends first, as its helper thread uses the other
  std::vector<std::future<std::string>> answers;
  for (const double x : {16.0, -1.0, 2.0}) {
    answers.push_back(boost::asio::co_spawn(io, connection(io, pool, x), boost::asio::use_future));
  }
  io.run();
  for (auto& answer : answers) std::printf("%s\n", answer.get().c_str());
}

// Prints:
// 4.000000
// root of a negative number
// 1.414214
