// SPDX-License-Identifier: MIT
//
// Pools that are given some time to finish what is under way: close, drain, terminate.
#include "tests/support/numbers.hpp"
#include "tests/support/process.hpp"
#include "tests/support/shared.hpp"
#include <bulkhead/pool.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <thread>
#include <vector>

#include <gmock/gmock.h>

namespace bulkhead {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;
using ::testing::SizeIs;

struct State : test::Gated {
  test::Tally finalized;
};
const test::Shared<State> state;

int same(int x) {
  return x;
}
int wait_for_gate(int x) {
  return state->wait_for_gate(x);
}

class DrainTest : public test::ProcessTest {
 protected:
  void SetUp() override {
    ProcessTest::SetUp();
    state.reset();
  }
};

/// Opens the gate once the pool takes no more calls.
std::jthread open_once_closed(Pool& pool) {
  return std::jthread([&pool] {
    EXPECT_TRUE(test::eventually([&pool] {
      try {
        (void)pool.apply_async(same, 1);
        return false;
      } catch (const PoolClosed&) {
        return true;
      }
    }));
    state->gate.add();
  });
}

TEST_F(DrainTest, OfAnIdlePoolIsTrueAtOnceAndClosesIt) {
  Pool pool(Options{.workers = 2, .finalizer = [] { state->finalized.add(); }});
  EXPECT_EQ(pool.apply(same, 1), 1);
  EXPECT_TRUE(pool.drain(0s));
  EXPECT_THROW((void)pool.apply(same, 1), PoolClosed);
  EXPECT_TRUE(pool.drain(test::kPatience));
  pool.join();
  EXPECT_EQ(state->finalized.value(), 2U);
  EXPECT_TRUE(pool.drain(0s));
}

TEST_F(DrainTest, WaitsForCallsOfOtherThreads) {
  Pool pool(2);
  std::vector<int> results;
  std::jthread caller([&] { results = pool.map(wait_for_gate, test::numbers(0, 50)); });
  EXPECT_TRUE(state->begun.reaches(2));
  {
    const std::jthread opener = open_once_closed(pool);
    EXPECT_TRUE(pool.drain(test::kPatience));
  }
  caller.join();
  EXPECT_EQ(results, test::numbers(0, 50));
  pool.join();
}

TEST_F(DrainTest, IsFalseWhenATaskHangs) {
  Pool pool(2);
  std::vector<Outcome<int>> outcomes;
  std::jthread caller([&] { outcomes = pool.try_map(wait_for_gate, test::numbers(0, 2)); });
  EXPECT_TRUE(state->begun.reaches(2));
  pool.close();
  EXPECT_FALSE(pool.drain(20ms));
  EXPECT_FALSE(pool.drain(0s));
  EXPECT_FALSE(pool.drain(-1s));
  pool.terminate();
  EXPECT_TRUE(pool.drain(test::kPatience)) << "the calls have been ended";
  caller.join();
  ASSERT_THAT(outcomes, SizeIs(2));
  EXPECT_EQ(outcomes[0].failure().kind(), FailureKind::cancelled);
}

// However busy the thread is that drives.
TEST_F(DrainTest, IsNotHeldUpByACallOfTinyTasks) {
  Pool pool(2);
  std::atomic<bool> over = false;
  std::jthread caller(
      [&] { (void)pool.map([](int) { state->begun.add(); }, test::ZerosUntil{over}); });
  EXPECT_TRUE(state->begun.reaches(1));
  EXPECT_FALSE(pool.drain(10ms));
  over = true;
  EXPECT_TRUE(pool.drain(test::kPatience));
}

TEST_F(DrainTest, DoesTheWorkOfCallsThatGoOnByThemselves) {
  for (const bool helper : {true, false}) {
    state.reset();
    Pool pool(Options{.workers = 2, .helper_thread = helper});
    std::atomic<int> told = 0;
    const auto many = pool.map_async(wait_for_gate, test::numbers(0, 50));
    const auto one = pool.apply_async(wait_for_gate, 7);
    many.on_success([&](const std::vector<int>&) { ++told; });
    one.on_success([&](int) { ++told; });
    EXPECT_FALSE(pool.drain(10ms));
    state->gate.add();
    EXPECT_TRUE(pool.drain(test::kPatience));
    EXPECT_EQ(told, 2) << "callbacks are part of it";
    EXPECT_TRUE(many.ready());
    EXPECT_EQ(one.get(), 7);
  }
}

TEST_F(DrainTest, OfAPoolThatAnEventLoopLookedAfterCallsBack) {
  Pool pool(2);
  (void)pool.native_handle();
  int told = 0;
  pool.apply_async(same, 3).on_success([&](int x) { told = x; });
  EXPECT_TRUE(pool.drain(test::kPatience));
  EXPECT_EQ(told, 3);
}

TEST_F(DrainTest, WaitsForACallbackThatRuns) {
  Pool pool(1);
  test::Tally& gate = state->gate;
  pool.apply_async(same, 3).on_success([&](int) {
    state->begun.add();
    EXPECT_TRUE(gate.reaches(1));
  });
  EXPECT_TRUE(state->begun.reaches(1));
  EXPECT_FALSE(pool.drain(10ms));
  gate.add();
  EXPECT_TRUE(pool.drain(test::kPatience));
}

TEST_F(DrainTest, InACallbackWaitsForTheOthers) {
  Pool pool(2);
  std::atomic<int> drained = -1;
  const auto slow = pool.apply_async(wait_for_gate, 1);
  pool.apply_async(same, 3).on_success([&](int) {
    const std::jthread opener = open_once_closed(pool);
    drained = pool.drain(test::kPatience) ? 1 : 0;
  });
  EXPECT_TRUE(test::eventually([&] { return drained != -1; }));
  EXPECT_EQ(drained, 1);
  EXPECT_TRUE(slow.ready());
}

TEST_F(DrainTest, WaitsUntilAStreamHasBeenRead) {
  Pool pool(2);
  std::atomic<bool> has_begun = false;
  std::jthread reader([&] {
    auto stream = pool.imap(same, test::numbers(0, 10'000), CallOptions{.buffersize = 10});
    int expected = 0;
    for (const int x : stream) {
      EXPECT_EQ(x, expected++);
      if (has_begun.exchange(true)) continue;
      EXPECT_TRUE(state->gate.reaches(1));
    }
    EXPECT_EQ(expected, 10'000);
  });
  EXPECT_TRUE(test::eventually([&] { return has_begun.load(); }));
  EXPECT_FALSE(pool.drain(10ms)) << "its reader pauses";
  state->gate.add();
  EXPECT_TRUE(pool.drain(test::kPatience));
}

TEST_F(DrainTest, DoesNotWaitForItself) {
  Pool pool(2);
  auto stream = pool.imap(same, test::numbers(0, 100), CallOptions{.buffersize = 1});
  EXPECT_EQ(stream.next(), 0);
  try {
    (void)pool.drain(test::kPatience);
    ADD_FAILURE() << "it waited";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("drain()"));
  }
  EXPECT_EQ(pool.apply(same, 1), 1) << "the pool was closed";
  const CallOptions in_call{.progress = [&](const Progress&) { (void)pool.drain(1s); }};
  EXPECT_THROW((void)pool.map(same, test::numbers(0, 10), in_call), Error);
}

TEST_F(DrainTest, MayRaceWithCallsAndWithTheEnd) {
  for (int round = 0; round < 10; ++round) {
    Pool pool(2);
    {
      std::vector<std::jthread> threads;
      for (int i = 0; i < 4; ++i) {
        threads.emplace_back([&] {
          try {
            for (int x = 0; x < 50; ++x) EXPECT_EQ(pool.apply(same, x), x);
          } catch (const PoolClosed&) {  // as it may
          } catch (const CancelledError&) {
          }
        });
      }
      for (int i = 0; i < 2; ++i) {
        threads.emplace_back([&] { EXPECT_TRUE(pool.drain(test::kPatience)); });
      }
      if (round % 2 == 0) threads.emplace_back([&] { pool.terminate(); });
    }
    EXPECT_TRUE(pool.drain(0s));
  }
}

TEST_F(DrainTest, InlineWaitsForCallsOfOtherThreads) {
  Pool pool(Options{.workers = 1, .inline_execution = true});
  EXPECT_EQ(pool.apply(same, 1), 1);
  std::jthread caller([&] { EXPECT_EQ(pool.apply(wait_for_gate, 5), 5); });
  EXPECT_TRUE(state->begun.reaches(1));
  EXPECT_FALSE(pool.drain(10ms));
  EXPECT_THROW((void)pool.apply(same, 1), PoolClosed);
  state->gate.add();
  EXPECT_TRUE(pool.drain(test::kPatience));
  Pool other(Options{.workers = 1, .inline_execution = true});
  const CallOptions in_call{.progress = [&](const Progress&) { (void)other.drain(1s); }};
  EXPECT_THROW((void)other.map(same, test::numbers(0, 10), in_call), Error);
}

}  // namespace
}  // namespace bulkhead
