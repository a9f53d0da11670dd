// SPDX-License-Identifier: MIT
//
// Pools that may start no thread (Options::helper_thread = false): all that a pool can do, in the
// threads that ask for it.
#include "tests/support/footprint.hpp"
#include "tests/support/numbers.hpp"
#include "tests/support/process.hpp"
#include "tests/support/shared.hpp"
#include "tests/support/victims.hpp"
#include <bulkhead/pool.hpp>
#include <bulkhead/wait.hpp>

#include <chrono>
#include <exception>
#include <optional>
#include <poll.h>
#include <stdexcept>
#include <stop_token>
#include <thread>
#include <tuple>
#include <vector>

#include <gmock/gmock.h>

namespace bulkhead {
namespace {

using namespace std::chrono_literals;
using test::numbers;
using ::testing::ElementsAre;
using ::testing::SizeIs;
using ::testing::UnorderedElementsAre;

struct State : test::Gated {};
const test::Shared<State> state;

int same(int x) {
  return x;
}
int add(int a, int b) {
  return a + b;
}
int wait_for_gate(int x) {
  return state->wait_for_gate(x);
}
int refuse(int) {
  throw std::runtime_error("no");
}

/// Each test ends with as many threads as it began with, and looks at that while the pool lives.
class NoHelperTest : public test::ProcessTest {
 protected:
  void SetUp() override {
    ProcessTest::SetUp();
    state.reset();
    threads_ = test::Footprint::now().threads;
    pool_.emplace(Options{.workers = 2, .max_in_flight = 8, .helper_thread = false});
  }
  void TearDown() override {
    EXPECT_EQ(test::Footprint::now().threads, threads_) << "a thread was started";
    pool_.reset();
    ProcessTest::TearDown();
  }

  Pool& pool() { return *pool_; }

 private:
  std::optional<Pool> pool_;
  int threads_ = 0;
};

TEST_F(NoHelperTest, CallsThatWait) {
  EXPECT_EQ(pool().map(same, numbers(0, 1000)), numbers(0, 1000));
  EXPECT_THAT(pool().try_map(refuse, numbers(0, 3)), SizeIs(3));
  EXPECT_EQ(pool().starmap(add, std::vector{std::tuple(1, 2)}), std::vector{3});
  EXPECT_EQ(pool().apply(add, 1, 2), 3);
  EXPECT_THROW((void)pool().apply(test::kills_itself, 1), CrashError);
  EXPECT_THAT(pool().run({delayed(add, 1, 2), delayed(add, 3, 4)}), ElementsAre(3, 7));
}

TEST_F(NoHelperTest, CallsThatGoOnGetOnWhereAThreadWaits) {
  const auto many = pool().map_async(same, numbers(0, 1000));
  const auto outcomes = pool().try_map_async(refuse, numbers(0, 3));
  const auto tuples = pool().starmap_async(add, std::vector{std::tuple(1, 2)});
  const auto one = pool().apply_async(add, 1, 2);
  const auto fails = pool().apply_async(CallOptions{.priority = 1}, refuse, 1);
  EXPECT_EQ(one.get(test::kPatience), 3);
  EXPECT_EQ(tuples.get(), std::vector{3});
  EXPECT_THAT(outcomes.get(), SizeIs(3));
  EXPECT_EQ(many.get(), numbers(0, 1000));
  EXPECT_THROW((void)fails.get(), RemoteError);
  EXPECT_FALSE(fails.successful());
}

TEST_F(NoHelperTest, CallbacksAreCalledWhereAThreadWaits) {
  const auto self = std::this_thread::get_id();
  std::vector<int> told;
  const auto note = [&](int x) {
    EXPECT_EQ(std::this_thread::get_id(), self);
    told.push_back(x);
  };
  pool().apply_async(same, 1).on_success(note);
  pool().apply_async(refuse, 1).on_error([&](const std::exception_ptr&) { note(2); });
  const auto last = pool().apply_async(same, 3);
  last.on_done([&](const auto& result) { note(result.get()); });
  const auto are_told = [&](std::size_t count) {
    return test::eventually([&] {
      (void)pool().apply_async(same, 1).get();
      return told.size() >= count;
    });
  };
  EXPECT_TRUE(are_told(3));
  EXPECT_THAT(told, UnorderedElementsAre(1, 2, 3));
  const CallOptions options{.progress = [&](const Progress&) { note(4); }};
  EXPECT_EQ(pool().map_async(same, numbers(0, 10), options).get(), numbers(0, 10));
  EXPECT_TRUE(are_told(4));
}

TEST_F(NoHelperTest, Submissions) {
  std::vector<AsyncResult<int>> results;
  for (int x = 0; x < 100; ++x) results.push_back(pool().submit(same, x));
  for (int x = 0; x < 100; ++x) EXPECT_EQ(results[static_cast<std::size_t>(x)].get(), x);
  EXPECT_EQ(pool().submit_for(test::kPatience, same, 5).value().get(), 5);
  EXPECT_EQ(pool().try_submit(same, 5).value().get(), 5);
}

TEST_F(NoHelperTest, StreamsAndWaitsForSeveralResults) {
  int expected = 0;
  for (const int x : pool().imap(same, numbers(0, 1000))) EXPECT_EQ(x, expected++);
  std::vector<AsyncResult<int>> results;
  for (int x = 0; x < 20; ++x) results.push_back(pool().apply_async(same, x));
  EXPECT_FALSE(wait(results, WaitFor::first, test::kPatience).done.empty());
  int count = 0;
  for (const auto& result : as_completed(results)) count += result.ready() ? 1 : 0;
  EXPECT_EQ(count, 20);
}

TEST_F(NoHelperTest, CancellationsStopsAndTimeLimits) {
  const auto cancelled = pool().apply_async(wait_for_gate, 1);
  cancelled.cancel();
  EXPECT_THROW((void)cancelled.get(), CancelledError);
  std::stop_source source;
  const auto stopped =
      pool().map_async(wait_for_gate, numbers(0, 4), CallOptions{.stop = source.get_token()});
  source.request_stop();
  EXPECT_THROW((void)stopped.get(), CancelledError);
  const auto late = pool().apply_async(CallOptions{.timeout = 50ms}, wait_for_gate, 1);
  EXPECT_THROW((void)late.get(), TimeoutError);
}

TEST_F(NoHelperTest, OtherSizesAndTheEnd) {
  pool().resize(4);
  EXPECT_EQ(pool().map(same, numbers(0, 100)), numbers(0, 100));
  pool().resize(1);
  const auto result = pool().map_async(same, numbers(0, 100));
  EXPECT_TRUE(pool().drain(test::kPatience)) << "drains by itself";
  EXPECT_EQ(result.get(), numbers(0, 100));
  pool().join();
}

TEST_F(NoHelperTest, AnEventLoop) {
  pollfd fd{pool().native_handle(), POLLIN, 0};
  int told = 0;
  pool().apply_async(same, 7).on_success([&](int x) { told = x; });
  const auto deadline = std::chrono::steady_clock::now() + test::kPatience;
  while (told == 0 && std::chrono::steady_clock::now() < deadline) {
    (void)::poll(&fd, 1, 1000);
    pool().poll();
  }
  EXPECT_EQ(told, 7);
}

// What nobody waits for gets on with any call of the pool.
TEST_F(NoHelperTest, OtherCallsTakeItAlong) {
  const auto result = pool().map_async(same, numbers(0, 100));
  EXPECT_TRUE(test::eventually([&] {
    (void)pool().apply(same, 1);
    return result.ready();
  }));
}

}  // namespace
}  // namespace bulkhead
