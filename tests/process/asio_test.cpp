// SPDX-License-Identifier: MIT
//
// Programs that are built on Boost.Asio.
#include "tests/support/numbers.hpp"
#include "tests/support/process.hpp"
#include "tests/support/shared.hpp"
#include "worker/host.hpp"
#include <bulkhead/asio.hpp>

#include <chrono>
#include <csignal>
#include <exception>
#include <functional>
#include <future>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <unistd.h>
#include <vector>

#include <boost/asio/bind_executor.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_future.hpp>
#include <boost/asio/version.hpp>
#ifdef BOOST_ASIO_HAS_CO_AWAIT
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/use_awaitable.hpp>
#endif
#if BOOST_ASIO_VERSION >= 102000
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#endif

#include <gmock/gmock.h>

namespace bulkhead {
namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;
using test::numbers;
using ::testing::SizeIs;

struct State {
  test::Gated gated;
};
const test::Shared<State> state;

int square(int x) {
  return x * x;
}
int wait_for_gate(int x) {
  return state->gated.wait_for_gate(x);
}
int refuse(int) {
  throw std::out_of_range("no such image");
}

/// Each test with the helper thread, and with the io_context instead.
class AsioTest : public test::ProcessTest, public ::testing::WithParamInterface<bool> {
 protected:
  void SetUp() override {
    ProcessTest::SetUp();
    state.reset();
    io_.emplace();
    pool_.emplace(2);
    if (GetParam()) loop_.emplace(*pool_, *io_);
  }
  void TearDown() override {
    loop_.reset();
    pool_.reset();  // whose helper may be about to return from a post
    io_.reset();
    ProcessTest::TearDown();
  }
  /// Runs what there is until then.
  template <class Condition>
  void run_until(Condition condition) {
    const auto deadline = std::chrono::steady_clock::now() + test::kPatience;
    while (!condition() && std::chrono::steady_clock::now() < deadline) {
      io_->restart();
      io_->run_one_for(1s);
    }
    EXPECT_TRUE(condition());
  }
  Pool& pool() { return *pool_; }
  asio::io_context& io() { return *io_; }
  void end_loop() { loop_.reset(); }

 private:
  std::optional<asio::io_context> io_;
  std::optional<Pool> pool_;
  std::optional<AsioLoop> loop_;
};

INSTANTIATE_TEST_SUITE_P(Threads, AsioTest, ::testing::Values(false, true),
                         [](const auto& place) { return place.param ? "Loop" : "Helper"; });

TEST_P(AsioTest, CallsBackWithTheValue) {
  int value = 0;
  const auto self = std::this_thread::get_id();
  async_get(io(), pool().apply_async(square, 7), [&](const std::exception_ptr& error, int result) {
    EXPECT_FALSE(error);
    EXPECT_EQ(std::this_thread::get_id(), self);
    value = result;
  });
  EXPECT_EQ(value, 0);
  run_until([&] { return value != 0; });
  EXPECT_EQ(value, 49);
  EXPECT_EQ(bulkhead::detail::thread_count() == 1, GetParam());
}

TEST_P(AsioTest, CallsBackWithTheFailure) {
  std::exception_ptr failure;
  async_get(io(), pool().apply_async(refuse, 7),
            [&](std::exception_ptr error, int) { failure = std::move(error); });
  run_until([&] { return failure != nullptr; });
  EXPECT_THROW(std::rethrow_exception(failure), std::out_of_range);
}

TEST_P(AsioTest, CallsBackForFunctionsWithoutResult) {
  bool is_done = false;
  async_get(io(), pool().apply_async([] {}), [&](const std::exception_ptr& error) {
    EXPECT_FALSE(error);
    is_done = true;
  });
  run_until([&] { return is_done; });
}

TEST_P(AsioTest, NeverCallsBackAtOnce) {
  auto result = pool().apply_async(square, 7);
  result.wait();
  bool is_done = false;
  async_get(io(), result, [&](const std::exception_ptr&, int) { is_done = true; });
  EXPECT_FALSE(is_done);
  run_until([&] { return is_done; });
}

TEST_P(AsioTest, CallsBackOnTheExecutorOfTheHandler) {
  asio::thread_pool others(1);
  std::promise<std::thread::id> where;
  auto future = where.get_future();
  async_get(io(), pool().apply_async(square, 7),
            asio::bind_executor(others.get_executor(), [&](const std::exception_ptr&, int) {
              where.set_value(std::this_thread::get_id());
            }));
  run_until([&] { return future.wait_for(1ms) == std::future_status::ready; });
  EXPECT_NE(future.get(), std::this_thread::get_id());
  others.join();
}

TEST_P(AsioTest, GivesFutures) {
  std::future<int> value = async_get(io(), pool().apply_async(square, 7), asio::use_future);
  std::future<int> failure = async_get(io(), pool().apply_async(refuse, 7), asio::use_future);
  run_until([&] { return failure.wait_for(0ms) == std::future_status::ready; });
  run_until([&] { return value.wait_for(0ms) == std::future_status::ready; });
  EXPECT_EQ(value.get(), 49);
  EXPECT_THROW(failure.get(), std::out_of_range);
}

TEST_P(AsioTest, TakesManyAtOnce) {
  int left = 1000;
  std::function<void(int)> begin = [&](int x) {
    async_get(io(), pool().apply_async(square, x),
              [&, x](const std::exception_ptr& error, int result) {
                EXPECT_FALSE(error);
                EXPECT_EQ(result, x * x);
                if (--left > 100) begin(left);
              });
  };
  for (int x = 0; x < 100; ++x) begin(x);
  run_until([&] { return left == 1; });
}

// As it has work to do until the result is there.
TEST_P(AsioTest, KeepsRunFromReturning) {
  end_loop();
  Pool other(1);  // looked after by its helper
  bool is_done = false;
  async_get(io(), other.apply_async(wait_for_gate, 1),
            [&](const std::exception_ptr&, int) { is_done = true; });
  std::jthread opener([] {
    (void)state->gated.begun.reaches(1);
    state->gated.gate.add();
  });
  io().run();
  EXPECT_TRUE(is_done);
}

TEST_P(AsioTest, MayEndThePoolInACallback) {
  std::optional<Pool> own(1);
  std::optional<AsioLoop> loop;
  if (GetParam()) loop.emplace(*own, io());
  async_get(io(), own->apply_async(square, 1), [&](const std::exception_ptr&, int) {
    loop.reset();
    own.reset();
  });
  run_until([&] { return !own; });
}

TEST_P(AsioTest, LearnsThatAResultWasCancelled) {
  std::exception_ptr failure;
  auto result = pool().apply_async(wait_for_gate, 1);
  async_get(io(), result, [&](std::exception_ptr error, int) { failure = std::move(error); });
  result.cancel();
  run_until([&] { return failure != nullptr; });
  EXPECT_THROW(std::rethrow_exception(failure), CancelledError);
}

#if BOOST_ASIO_VERSION >= 102000

TEST_P(AsioTest, CancelsTheCallByItsSlot) {
  asio::cancellation_signal signal;
  std::exception_ptr failure;
  async_get(io(), pool().apply_async(wait_for_gate, 1),
            asio::bind_cancellation_slot(
                signal.slot(), [&](std::exception_ptr error, int) { failure = std::move(error); }));
  signal.emit(asio::cancellation_type::terminal);
  run_until([&] { return failure != nullptr; });
  EXPECT_THROW(std::rethrow_exception(failure), CancelledError);
  signal.emit(asio::cancellation_type::terminal);
}

#endif

#ifdef BOOST_ASIO_HAS_CO_AWAIT

TEST_P(AsioTest, CanBeAwaited) {
  int sum = 0;
  std::string message;
  const auto sums = [&]() -> asio::awaitable<void> {
    for (int x = 1; x <= 3; ++x) {
      sum += co_await async_get(io(), pool().apply_async(square, x), asio::use_awaitable);
    }
    const auto all =
        co_await async_get(io(), pool().map_async(square, numbers(0, 100)), asio::use_awaitable);
    EXPECT_THAT(all, SizeIs(100));
    try {
      co_await async_get(io(), pool().apply_async(refuse, 1), asio::use_awaitable);
    } catch (const std::out_of_range& error) {
      message = error.what();
    }
  };
  asio::co_spawn(io(), sums, asio::detached);
  run_until([&] { return !message.empty(); });
  EXPECT_EQ(sum, 14);
}

#endif

}  // namespace
}  // namespace bulkhead
