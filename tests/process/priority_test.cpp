// SPDX-License-Identifier: MIT
//
// Which of several calls is served first.
#include "tests/support/numbers.hpp"
#include "tests/support/process.hpp"
#include "tests/support/shared.hpp"
#include "tests/support/victims.hpp"
#include <bulkhead/pool.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <climits>
#include <cstddef>
#include <cstdint>
#include <thread>
#include <vector>

#include <gmock/gmock.h>

namespace bulkhead {
namespace {

using namespace std::chrono_literals;
using test::numbers;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::SizeIs;

constexpr std::size_t kMany = 20'000;

/// What ran, in the order in which it began.
struct State : test::Gated {
  std::atomic<std::uint32_t> count;
  std::array<std::atomic<int>, 2 * kMany> ran;
};
const test::Shared<State> state;

int noted(int x) {
  state->ran[state->count.fetch_add(1)] = x;
  return x;
}
int gated(int x) {
  noted(x);
  return state->wait_for_gate(x);
}
/// Tiny; number 5000 waits for the gate.
int tiny(int x) {
  return x == 5000 ? gated(x) : noted(x);
}

class PriorityTest : public test::ProcessTest {
 protected:
  void SetUp() override {
    ProcessTest::SetUp();
    state.reset();
  }

  static std::vector<int> order() {
    const auto* first = state->ran.data();
    return {first, first + state->count};
  }
  /// How many tasks began after this one and before that.
  static std::ptrdiff_t between(int one, int other) {
    const std::vector<int> all = order();
    const auto at = std::find(all.begin(), all.end(), one);
    return std::find(at, all.end(), other) - at - 1;
  }
};

TEST_F(PriorityTest, HigherOnesAreGivenOutFirst) {
  Pool pool(1);
  const auto blocker = pool.apply_async(gated, 0);
  EXPECT_TRUE(state->begun.reaches(1));
  std::vector<AsyncResult<int>> results;
  for (const int priority : {-1, 3, INT_MAX, 2, INT_MIN, 1}) {
    results.push_back(pool.apply_async(CallOptions{.priority = priority}, noted, priority));
  }
  results.push_back(pool.submit(noted, 0));  // has no options
  state->gate.add();
  for (const auto& result : results) result.wait();
  EXPECT_THAT(order(), ElementsAre(0, INT_MAX, 3, 2, 1, 0, -1, INT_MIN));
}

TEST_F(PriorityTest, ALaterCallOvertakesAllThatHasNotBegun) {
  Pool pool(1);
  const auto low = pool.map_async(gated, numbers(0, 10));
  EXPECT_TRUE(state->begun.reaches(1));
  const auto high = pool.map_async(noted, numbers(100, 110), CallOptions{.priority = 1});
  state->gate.add();
  EXPECT_EQ(high.get(), numbers(100, 110));
  EXPECT_EQ(low.get(), numbers(0, 10));
  EXPECT_LE(between(0, 100), 1) << "one may wait at the worker";
  EXPECT_EQ(between(100, 109), 8);
}

// Thousands of tiny tasks wait at the worker, behind one that takes long.
TEST_F(PriorityTest, WhatWaitsAtAWorkerIsTakenBack) {
  Pool pool(1);
  const auto low = pool.map_async(tiny, numbers(0, 20'000));
  EXPECT_TRUE(state->begun.reaches(1));
  const auto high = pool.map_async(noted, numbers(30'000, 30'100), CallOptions{.priority = 1});
  state->gate.add();
  EXPECT_EQ(high.get(), numbers(30'000, 30'100));
  EXPECT_EQ(low.get(), numbers(0, 20'000));
  EXPECT_LE(between(5000, 30'000), 1);
  EXPECT_EQ(between(30'000, 30'099), 98);
  EXPECT_EQ(state->count, 20'100U) << "none ran twice";
}

TEST_F(PriorityTest, OneTaskThatHangsDoesNotKeepAnUrgentOneFromOtherWorkers) {
  Pool pool(2);
  const auto hang_first = [](int x) {
    if (x == 0) return gated(x);
    test::work_for(500us);
    return noted(x);
  };
  std::atomic<bool> over = false;
  std::jthread caller([&] {
    EXPECT_EQ(pool.map(hang_first, numbers(0, 500)), numbers(0, 500));
    over = true;
  });
  EXPECT_TRUE(state->begun.reaches(1));
  for (int x = 0; x < 20; ++x) {
    EXPECT_EQ(pool.apply_async(CallOptions{.priority = 1}, noted, 5000 + x).get(), 5000 + x);
  }
  EXPECT_FALSE(over) << "the first task still hangs";
  state->gate.add();
}

TEST_F(PriorityTest, EqualOnesTakeTurns) {
  Pool pool(1);
  const auto blocker = pool.apply_async(gated, -1);
  EXPECT_TRUE(state->begun.reaches(1));
  const CallOptions urgent{.priority = 5};
  const auto even = [](int x) {
    test::work_for(200us);
    return noted(2 * x);
  };
  const auto odd = [](int x) {
    test::work_for(200us);
    return noted(2 * x + 1);
  };
  const auto low = pool.map_async(noted, numbers(10'000, 10'100));
  const auto first = pool.map_async(even, numbers(0, 400), urgent);
  const auto second = pool.map_async(odd, numbers(0, 400), urgent);
  state->gate.add();
  first.wait();
  second.wait();
  EXPECT_THAT(low.get(), SizeIs(100));
  const std::vector<int> all = order();
  ASSERT_THAT(all, SizeIs(901));
  const auto half = std::count_if(all.begin(), std::next(all.begin(), 400),
                                  [](int x) { return x % 2 == 0 && x < 10'000; });
  EXPECT_GT(half, 20);
  EXPECT_LT(half, 380);
}

TEST_F(PriorityTest, OfStreams) {
  Pool pool(1);
  auto low = pool.imap(noted, numbers(0, 3000));
  EXPECT_EQ(low.next(), 0);
  auto high = pool.imap(gated, numbers(10'000, 10'300), CallOptions{.priority = 1});
  state->gate.add();
  for (int x = 10'000; x < 10'300; ++x) EXPECT_EQ(high.next(), x);
  for (int x = 1; x < 3000; ++x) EXPECT_EQ(low.next(), x);
  EXPECT_FALSE(low.next());
  EXPECT_EQ(state->count, 3300U);
}

// A stream that is urgent and whose reader is away keeps no worker from other calls.
TEST_F(PriorityTest, AnUrgentCallWithNothingToGiveOutHoldsUpNobody) {
  Pool pool(2);
  auto high = pool.imap(noted, numbers(0, 1000), CallOptions{.priority = 9, .buffersize = 1});
  EXPECT_EQ(high.next(), 0);
  EXPECT_EQ(pool.map(noted, numbers(5000, 6000)), numbers(5000, 6000));
  const CallOptions retried{.priority = 9, .retries = {.exceptions = 1, .pause = 200ms}};
  const auto fail_once = [](int x) {
    if (state->begun.value() == 0) {
      state->begun.add();
      throw std::runtime_error("once");
    }
    return x;
  };
  const auto waits = pool.map_async(fail_once, numbers(0, 1), retried);
  EXPECT_TRUE(state->begun.reaches(1));
  EXPECT_EQ(pool.map(noted, numbers(5000, 6000)), numbers(5000, 6000));
  EXPECT_EQ(waits.get(), numbers(0, 1));
}

TEST_F(PriorityTest, OfCallsInManyThreads) {
  Pool pool(3);
  std::vector<std::jthread> threads;
  for (int thread = 0; thread < 8; ++thread) {
    threads.emplace_back([&pool, thread] {
      const CallOptions options{.priority = thread % 3};
      for (int round = 0; round < 10; ++round) {
        EXPECT_EQ(pool.map([](int x) { return 2 * x; }, std::vector(50, thread), options),
                  std::vector(50, 2 * thread));
        const auto die = pool.try_map(test::only_at<3, test::kills_itself>, numbers(0, 5), options);
        EXPECT_FALSE(die[3]);
      }
    });
  }
}

/// One call whose first task waits for the gate, and three that are made meanwhile: what ran.
std::vector<int> inline_round() {
  state.reset();
  Pool pool(Options{.workers = 1, .inline_execution = true});
  std::vector<std::jthread> threads;
  threads.emplace_back([&] { EXPECT_EQ(pool.map(gated, {0, 1, 2}), numbers(0, 3)); });
  EXPECT_TRUE(state->begun.reaches(1));
  std::atomic<int> asking = 0;
  for (const int priority : {-1, 2, 1}) {
    threads.emplace_back([&pool, &asking, priority] {
      ++asking;
      const std::vector<int> elements(3, 10 * priority);
      EXPECT_EQ(pool.map(noted, elements, CallOptions{.priority = priority}), elements);
    });
    EXPECT_TRUE(test::eventually([&] { return asking == static_cast<int>(threads.size()) - 1; }));
  }
  for (int i = 0; i < 5; ++i) test::pause_a_moment();  // nothing tells that they wait
  state->gate.add();
  threads.clear();
  const auto* first = state->ran.data();
  return {first, first + state->count};
}

// Not in each round: a thread may be slow to ask for its next turn.
TEST_F(PriorityTest, InlineTheThreadWithTheHighestGetsTheTurn) {
  bool seen = false;
  for (int round = 0; round < 50 && !seen; ++round) {
    seen = inline_round() == std::vector{0, 20, 20, 20, 10, 10, 10, 1, 2, -10, -10, -10};
  }
  EXPECT_TRUE(seen);
}

}  // namespace
}  // namespace bulkhead
