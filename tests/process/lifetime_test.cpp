// SPDX-License-Identifier: MIT
//
// How pools end: closed, terminated, destroyed, or with their process.
#include "tests/support/numbers.hpp"
#include "tests/support/process.hpp"
#include "tests/support/victims.hpp"
#include <bulkhead/pool.hpp>

#include <chrono>
#include <csignal>
#include <list>
#include <numeric>
#include <optional>
#include <thread>
#include <unistd.h>
#include <vector>

#include <gmock/gmock.h>

namespace bulkhead {
namespace {

using test::Process;
using test::workers_of;
using ::testing::HasSubstr;
using ::testing::SizeIs;
using LifetimeTest = test::ProcessTest;

/// All that ends at once ends within this time; the library's own bound is two seconds, six if CPUs
/// are short.
constexpr std::chrono::seconds kBound{10};

struct State : test::Gated {
  test::Tally ready;
};
const test::Shared<State> state;

int same(int x) {
  return x;
}

/// A task that lasts until the gate is opened.
int wait_for_gate(int x) {
  return state->wait_for_gate(x);
}

class Stopwatch {
 public:
  [[nodiscard]] std::chrono::nanoseconds elapsed() const {
    return std::chrono::steady_clock::now() - start_;
  }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

// Row 137: submit-after-close.
TEST_F(LifetimeTest, AClosedPoolTakesNoMoreCalls) {
  Pool pool(2);
  EXPECT_EQ(pool.apply(same, 1), 1);
  pool.close();
  pool.close();
  for (int again = 0; again < 2; ++again) {
    try {
      (void)pool.map(same, std::vector{1});
      ADD_FAILURE() << "the call was taken";
    } catch (const PoolClosed& error) {
      EXPECT_THAT(error.what(), HasSubstr("closed"));
    }
    EXPECT_THROW((void)pool.apply(same, 1), PoolClosed);
    pool.join();
  }
}

TEST_F(LifetimeTest, ATerminatedPoolTakesNoMoreCalls) {
  Pool pool(2);
  pool.terminate();
  try {
    (void)pool.try_map(same, std::vector{1});
    ADD_FAILURE() << "the call was taken";
  } catch (const PoolClosed& error) {
    EXPECT_THAT(error.what(), HasSubstr("terminated"));
  }
}

// Row 142: terminate-twice.
TEST_F(LifetimeTest, EndingAPoolAgainDoesNoHarm) {
  {
    Pool unused(2);
    unused.terminate();
    unused.terminate();
    unused.close();
    unused.join();
    unused.terminate();
  }
  {
    Pool closed(2);
    EXPECT_EQ(closed.apply(same, 1), 1);
    closed.close();
    closed.terminate();
    closed.join();
    closed.join();
  }
  {
    Pool joined(2);
    joined.close();
    joined.join();
    joined.terminate();
    joined.close();
    joined.join();
  }
}

TEST_F(LifetimeTest, JoiningAnOpenPoolIsAnErrorAndNoWait) {
  Pool pool(1);
  EXPECT_THROW(pool.join(), Error);
  EXPECT_EQ(pool.apply(same, 1), 1);
}

// Row 138: close-drains.
TEST_F(LifetimeTest, ClosingLetsTheCallsThatRunComeToTheirEnd) {
  state.reset();
  Pool pool(3);
  std::vector<int> results;
  std::thread caller([&] { results = pool.map(wait_for_gate, test::numbers(0, 50)); });
  EXPECT_TRUE(state->begun.reaches(3));
  pool.close();
  state->gate.add();
  pool.join();
  caller.join();
  EXPECT_EQ(state->begun.value(), 50U);
  std::vector<int> expected(50);
  std::iota(expected.begin(), expected.end(), 0);
  EXPECT_EQ(results, expected);
}

// Row 147: reuse-resources.
TEST_F(LifetimeTest, AJoinedPoolHoldsNothingAnyMore) {
  const test::Footprint before = test::Footprint::now();
  Pool pool(3);
  EXPECT_EQ(pool.apply(same, 1), 1);
  pool.close();
  pool.join();
  const test::Footprint after = test::Footprint::now();
  EXPECT_EQ(after.children, before.children);
  EXPECT_EQ(after.shared_mappings, before.shared_mappings);
}

// Rows 140 and 141: terminate-busy, terminate-blocked-map.
TEST_F(LifetimeTest, TerminatingEndsTheCallsOfOtherThreadsAtOnce) {
  state.reset();
  Pool pool(3);
  std::vector<Process> workers;
  for (const int pid : workers_of(pool)) workers.emplace_back(pid);
  std::vector<Outcome<int>> outcomes;
  std::thread lenient([&] { outcomes = pool.try_map(wait_for_gate, test::numbers(0, 1000)); });
  std::thread strict([&] {
    EXPECT_TRUE(state->begun.reaches(3));
    const CallOptions options{.progress = [](const Progress&) { state->ready.add(); }};
    EXPECT_THROW((void)pool.map(wait_for_gate, test::numbers(0, 1000), options), CancelledError);
  });
  EXPECT_TRUE(state->begun.reaches(3));
  EXPECT_TRUE(state->ready.reaches(1)) << "the second call is not waiting";
  const Stopwatch stopwatch;
  pool.terminate();
  for (const Process& worker : workers) EXPECT_TRUE(worker.ends_within(std::chrono::seconds{0}));
  strict.join();
  lenient.join();
  EXPECT_LT(stopwatch.elapsed(), kBound);
  ASSERT_THAT(outcomes, SizeIs(1000));
  for (std::size_t i = 0; i < 1000; ++i) {
    ASSERT_FALSE(outcomes[i]);
    EXPECT_EQ(outcomes[i].failure().kind(), FailureKind::cancelled) << outcomes[i].failure().what();
    EXPECT_EQ(outcomes[i].failure().task(), i);
  }
  EXPECT_EQ(state->begun.value(), 3U) << "tasks were begun afterwards";
}

TEST_F(LifetimeTest, TheProgressCallbackMayTerminateThePool) {
  state.reset();
  Pool pool(2);
  const CallOptions options{.progress = [&pool](const Progress&) { pool.terminate(); }};
  EXPECT_THROW((void)pool.map(wait_for_gate, test::numbers(0, 1000), options), CancelledError);
}

TEST_F(LifetimeTest, ResultsThatWereThereBeforeTheTerminationAreKept) {
  state.reset();
  Pool pool(1);
  const auto task = [](int x) { return x < 5 ? x : wait_for_gate(x); };
  std::vector<Outcome<int>> outcomes;
  std::thread caller([&] { outcomes = pool.try_map(task, test::numbers(0, 10)); });
  EXPECT_TRUE(state->begun.reaches(1));
  pool.terminate();
  caller.join();
  ASSERT_THAT(outcomes, SizeIs(10));
  for (int x = 0; x < 5; ++x) EXPECT_EQ(outcomes[static_cast<std::size_t>(x)].value_or(-1), x);
  for (std::size_t i = 5; i < 10; ++i) EXPECT_FALSE(outcomes[i]);
}

// Row 143: destroy-running. The pool goes out of scope while a task hangs, as the callback throws.
TEST_F(LifetimeTest, APoolIsTerminatedWithItsScope) {
  state.reset();
  const Stopwatch stopwatch;
  const auto abandon = [] {
    Pool pool(2);
    const CallOptions options{.progress = [&pool](const Progress&) {
      pool.terminate();
      throw std::domain_error("unwinding");
    }};
    (void)pool.map(wait_for_gate, test::numbers(0, 1000), options);
  };
  EXPECT_THROW(abandon(), std::domain_error);
  EXPECT_LT(stopwatch.elapsed(), kBound);
}

TEST_F(LifetimeTest, AnUnusedPoolEndsAtOnce) {
  const Stopwatch stopwatch;
  for (int round = 0; round < 20; ++round) const Pool pool(2);
  EXPECT_LT(stopwatch.elapsed(), std::chrono::seconds{20});
}

// Row 110: task-sig-ign.
TEST_F(LifetimeTest, TasksThatIgnoreAllSignalsAreTerminatedToo) {
  state.reset();
  Pool pool(2);
  const auto stubborn = [](int x) { return wait_for_gate(test::ignores_signals(x)); };
  std::thread caller(
      [&] { EXPECT_THROW((void)pool.map(stubborn, test::numbers(0, 2)), CancelledError); });
  EXPECT_TRUE(state->begun.reaches(2));
  const Stopwatch stopwatch;
  pool.terminate();
  caller.join();
  EXPECT_LT(stopwatch.elapsed(), kBound);
}

// Row 98: stop-terminate.
TEST_F(LifetimeTest, StoppedWorkersAreTerminatedToo) {
  state.reset();
  Pool pool(2);
  const auto stop = [](int x) {
    state->begun.add();
    ::raise(SIGSTOP);
    return x;
  };
  std::thread caller(
      [&] { EXPECT_THROW((void)pool.map(stop, test::numbers(0, 2)), CancelledError); });
  EXPECT_TRUE(state->begun.reaches(2));
  const Stopwatch stopwatch;
  pool.terminate();
  caller.join();
  EXPECT_LT(stopwatch.elapsed(), kBound);
}

// Row 189: create-destroy.
TEST_F(LifetimeTest, AHundredPoolsLeaveNothingBehind) {
  const auto live = [](int round) {
    Pool pool(2);
    EXPECT_EQ(pool.map(same, test::numbers(0, 100)).size(), 100U);
    if (round % 3 != 0) return;
    pool.close();
    pool.join();
  };
  live(0);
  const test::Footprint before = test::Footprint::now();
  for (int round = 0; round < 100; ++round) live(round);
  test::expect_unchanged(before);
}

TEST_F(LifetimeTest, PoolsSideBySideDoNotDisturbEachOther) {
  Pool first(2);
  Pool second(2);
  std::optional<Pool> third(std::in_place, 2);
  EXPECT_EQ(third->apply(same, 3), 3);
  first.terminate();
  EXPECT_EQ(second.apply(same, 2), 2);
  third.reset();
  EXPECT_THROW((void)second.apply(test::kills_itself, 2), CrashError);
  EXPECT_EQ(second.apply(same, 2), 2);
}

// Elements of a list are drawn as they are needed; those that never were have an outcome too.
TEST_F(LifetimeTest, ATerminatedCallHasAnOutcomeForElementsThatWereNeverDrawn) {
  Pool pool(1);
  const auto hang = [](int) -> int {
    for (;;) ::pause();
  };
  const CallOptions options{.progress = [&pool](const Progress&) { pool.terminate(); }};
  const std::list<int> list(1000, 1);
  const auto outcomes = pool.try_map(hang, list, options);
  ASSERT_THAT(outcomes, SizeIs(1000));
  for (const auto& outcome : outcomes) {
    EXPECT_EQ(outcome.failure().kind(), FailureKind::cancelled);
  }
}

}  // namespace
}  // namespace bulkhead
