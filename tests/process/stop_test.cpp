// SPDX-License-Identifier: MIT
//
// Calls that are asked to stop from outside, by a std::stop_token.
#include "tests/support/numbers.hpp"
#include "tests/support/process.hpp"
#include "tests/support/shared.hpp"
#include <bulkhead/pool.hpp>
#include <bulkhead/this_task.hpp>

#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <ranges>
#include <set>
#include <stop_token>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include <gmock/gmock.h>

namespace bulkhead {
namespace {

using ::testing::Each;
using ::testing::SizeIs;
using StopTest = test::ProcessTest;

struct State {
  test::Tally ready;
  test::Tally begun;
  test::Tally tidied;
};
const test::Shared<State> state;

int hang_from_10(int x) {
  if (x < 10) return x;
  state->begun.add();
  for (;;) ::pause();
}

/// A call of try_map that is stopped once so many of its tasks hang.
std::vector<Outcome<int>> stopped_call(Pool& pool, const std::vector<int>& elements,
                                       std::uint32_t hanging) {
  state.reset();
  std::stop_source source;
  std::jthread stopper([&source, hanging] {
    (void)state->begun.reaches(hanging);
    source.request_stop();
  });
  return pool.try_map(hang_from_10, elements, CallOptions{.stop = source.get_token()});
}

// Rows 60 and 61: cancel-pending, cancel-running.
TEST_F(StopTest, CancelsWhatRunsAndWhatWaitsAndKeepsWhatIsThere) {
  Pool pool(2);
  const std::set<int> before = test::workers_of(pool);
  const auto outcomes = stopped_call(pool, test::numbers(0, 100), 2);
  ASSERT_THAT(outcomes, SizeIs(100));
  for (int x = 0; x < 100; ++x) {
    const Outcome<int>& outcome = outcomes[static_cast<std::size_t>(x)];
    ASSERT_EQ(outcome.has_value(), x < 10) << x;
    if (x < 10) continue;
    EXPECT_EQ(outcome.failure().kind(), FailureKind::cancelled) << outcome.failure().what();
    EXPECT_EQ(outcome.failure().task(), static_cast<std::uint64_t>(x));
  }
  EXPECT_EQ(state->begun.value(), 2U);
  EXPECT_THAT(pool.map([](int) { return ::getpid(); }, test::numbers(0, 100)),
              Each(::testing::Not(::testing::AnyOfArray(before))));
}

TEST_F(StopTest, ThatWasRequestedBeforehandRunsNothing) {
  state.reset();
  std::stop_source source;
  source.request_stop();
  Pool pool(2);
  const CallOptions options{.stop = source.get_token()};
  const auto outcomes = pool.try_map(hang_from_10, test::numbers(10, 20), options);
  ASSERT_THAT(outcomes, SizeIs(10));
  for (const auto& outcome : outcomes) {
    ASSERT_FALSE(outcome);
    EXPECT_EQ(outcome.failure().kind(), FailureKind::cancelled);
  }
  EXPECT_EQ(state->begun.value(), 0U);
}

// Row 63: cancel-big.
TEST_F(StopTest, EndsACallOfLargeValues) {
  state.reset();
  Pool pool(2);
  const auto grow = [](int) {
    state->begun.add();
    return std::vector<std::byte>(20'000'000, std::byte{1});
  };
  std::stop_source source;
  std::jthread stopper([&source] {
    (void)state->begun.reaches(3);
    source.request_stop();
  });
  const auto outcomes =
      pool.try_map(grow, test::numbers(0, 20), CallOptions{.stop = source.get_token()});
  ASSERT_THAT(outcomes, SizeIs(20));
  for (const auto& outcome : outcomes) {
    if (outcome) {
      EXPECT_EQ(outcome->size(), 20'000'000U);
    } else {
      EXPECT_EQ(outcome.failure().kind(), FailureKind::cancelled);
    }
  }
  EXPECT_LT(state->begun.value(), 20U);
  EXPECT_EQ(pool.apply([](int x) { return x; }, 4), 4);
}

TEST_F(StopTest, IsThrownByMap) {
  state.reset();
  Pool pool(1);
  std::stop_source source;
  std::jthread stopper([&source] {
    (void)state->begun.reaches(1);
    source.request_stop();
  });
  try {
    (void)pool.map(hang_from_10, test::numbers(5, 100), CallOptions{.stop = source.get_token()});
    FAIL() << "no failure";
  } catch (const RemoteError& error) {
    EXPECT_EQ(error.failure().kind(), FailureKind::cancelled);
  }
  EXPECT_EQ(pool.apply([](int x) { return x; }, 4), 4);
}

#if BULKHEAD_TEST_VIEWS

TEST_F(StopTest, EndsACallOverARangeWithoutEnd) {
  state.reset();
  Pool pool(2);
  std::stop_source source;
  std::jthread stopper([&source] {
    (void)state->begun.reaches(1000);
    source.request_stop();
  });
  const auto count = [](int x) {
    state->begun.add();
    return x;
  };
  const auto outcomes =
      pool.try_map(count, std::views::iota(0), CallOptions{.stop = source.get_token()});
  EXPECT_GE(outcomes.size(), 1000U);
}

#endif

TEST_F(StopTest, HarmsNoOtherCall) {
  state.reset();
  Pool pool(2);
  std::stop_source source;
  std::vector<Outcome<int>> stopped;
  std::jthread other(
      [&] { stopped = pool.try_map(hang_from_10, {10}, CallOptions{.stop = source.get_token()}); });
  ASSERT_TRUE(state->begun.reaches(1));
  EXPECT_EQ(pool.map([](int x) { return x; }, test::numbers(0, 1000)), test::numbers(0, 1000));
  source.request_stop();
  other.join();
  ASSERT_THAT(stopped, SizeIs(1));
  EXPECT_EQ(stopped[0].failure().kind(), FailureKind::cancelled);
}

/// Runs until it is asked to stop, and then leaves a sign that it had time to tidy up.
int run_until_stopped(int x) {
  while (!this_task::stop_requested()) state->begun.add();
  state->tidied.add();
  return x;
}

TEST_F(StopTest, IsToldToATaskThatAsks) {
  state.reset();
  Pool pool(1);
  std::stop_source source;
  std::jthread stopper([&source] {
    (void)state->begun.reaches(100);
    source.request_stop();
  });
  const CallOptions options{.stop = source.get_token()};
  const auto outcomes = pool.try_map(run_until_stopped, test::numbers(0, 1), options);
  EXPECT_EQ(outcomes.at(0).failure().kind(), FailureKind::cancelled);
  EXPECT_THAT(outcomes.at(0).failure().message(), "a stop was requested; ended by SIGTERM");
  EXPECT_TRUE(state->tidied.reaches(1));
}

// What a task has asked says nothing about the next one.
TEST_F(StopTest, EndsATaskThatHasNotAskedThoughTheOneBeforeHad) {
  state.reset();
  Pool pool(1);
  EXPECT_FALSE(pool.apply([] { return this_task::stop_requested(); }));
  const auto outcomes = stopped_call(pool, test::numbers(9, 12), 1);
  EXPECT_TRUE(outcomes.at(0));
  EXPECT_THAT(outcomes.at(1).failure().what(), ::testing::HasSubstr("SIGTERM"));
}

// A second later it would have died of SIGKILL.
TEST_F(StopTest, EndsTheWorkerOnceATaskThatWasToldReturns) {
  state.reset();
  Pool pool(1);
  const CallOptions options{.timeout = std::chrono::milliseconds{100}};
  const auto outcomes = pool.try_map(run_until_stopped, test::numbers(0, 1), options);
  EXPECT_EQ(outcomes.at(0).failure().kind(), FailureKind::timed_out);
  EXPECT_EQ(outcomes.at(0).failure().signal(), SIGTERM);
  EXPECT_TRUE(state->tidied.reaches(1));
}

// Row 148: shutdown-order. Two obey, and the third is killed when its second is over.
TEST_F(StopTest, WaitsForTasksThatTidyUpAndForOthersNotLongerThanASecond) {
  state.reset();
  Pool pool(3);
  const auto task = [](int x) {
    (void)this_task::stop_requested();
    if (x == 2) ::signal(SIGTERM, SIG_IGN);
    state->ready.add();
    return x == 2 ? hang_from_10(12) : run_until_stopped(x);
  };
  std::stop_source source;
  std::chrono::steady_clock::time_point stopped_at;
  std::jthread stopper([&] {
    (void)state->ready.reaches(3);
    stopped_at = std::chrono::steady_clock::now();
    source.request_stop();
  });
  const CallOptions options{.stop = source.get_token()};
  const auto outcomes = pool.try_map(task, test::numbers(0, 3), options);
  const auto elapsed = std::chrono::steady_clock::now() - stopped_at;
  EXPECT_GE(elapsed, std::chrono::seconds{1});
  EXPECT_LT(elapsed, std::chrono::seconds{20});
  for (const auto& outcome : outcomes) {
    EXPECT_EQ(outcome.failure().kind(), FailureKind::cancelled) << outcome.failure().what();
  }
  EXPECT_EQ(outcomes.at(2).failure().signal(), SIGKILL);
  EXPECT_EQ(state->tidied.value(), 2U);
}

TEST_F(StopTest, BySomebodyElsesSignalIsNoSuccess) {
  state.reset();
  Pool pool(1);
  const auto task = [](int x) {
    (void)this_task::stop_requested();
    ::raise(SIGTERM);
    return run_until_stopped(x);
  };
  const auto outcomes = pool.try_map(task, {1});
  ASSERT_FALSE(outcomes.at(0));
  EXPECT_EQ(outcomes[0].failure().kind(), FailureKind::crashed);
  EXPECT_EQ(outcomes[0].failure().signal(), SIGTERM);
  EXPECT_TRUE(state->tidied.reaches(1));
}

// Between tasks nobody is there to be told.
TEST_F(StopTest, BySomebodyElsesSignalEndsAnIdleWorkerWhoseLastTaskHasAsked) {
  Pool pool(1);
  const pid_t worker = pool.apply([] {
    (void)this_task::stop_requested();
    return ::getpid();
  });
  ASSERT_EQ(::kill(worker, SIGTERM), 0);
  EXPECT_TRUE(test::eventually([worker] { return ::kill(worker, 0) != 0; }));
  EXPECT_NE(pool.apply([] { return ::getpid(); }), worker);
}

TEST_F(StopTest, AndTheDeadlineAreNotKnownInAForkOfTheTask) {
  Pool pool(1);
  const auto task = [](int) {
    (void)this_task::stop_requested();
    const pid_t child = ::fork();
    if (child == 0) {
      const bool knows = this_task::stop_requested() || this_task::deadline();
      ::raise(SIGTERM);
      ::_exit(knows ? 1 : 2);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
  };
  const CallOptions options{.timeout = std::chrono::seconds{30}};
  EXPECT_THAT(pool.map(task, {1}, options), Each(SIGTERM));
}

TEST_F(StopTest, IsNotRequestedInTheNextTask) {
  state.reset();
  Pool pool(1);
  const CallOptions options{.timeout = std::chrono::milliseconds{100}};
  EXPECT_FALSE(pool.try_map(run_until_stopped, test::numbers(0, 1), options).at(0));
  EXPECT_FALSE(pool.apply([] { return this_task::stop_requested(); }));
}

TEST_F(StopTest, IsNeverRequestedOutsideOfTasks) {
  EXPECT_FALSE(this_task::stop_requested());
  EXPECT_EQ(this_task::deadline(), std::nullopt);
}

TEST_F(StopTest, AndTheDeadlineAreNotKnownInTheFinalizer) {
  state.reset();
  const auto finalizer = [] {
    if (!this_task::stop_requested() && !this_task::deadline()) state->tidied.add();
  };
  Pool pool(Options{.workers = 1, .finalizer = finalizer});
  const CallOptions options{.timeout = std::chrono::seconds{30}};
  EXPECT_THAT(pool.map([](int) { return this_task::stop_requested(); }, {1}, options), Each(false));
  pool.close();
  pool.join();
  EXPECT_EQ(state->tidied.value(), 1U);
}

TEST_F(StopTest, HarmsNoOtherCallThatWaitsForRoom) {
  state.reset();
  Pool pool(1);
  const std::vector<std::byte> large(300'000, std::byte{7});
  std::jthread other([&] {
    const auto echo = [](const std::vector<std::byte>& bytes) { return bytes; };
    for (int round = 0; round < 20; ++round) {
      EXPECT_THAT(pool.map(echo, std::vector(20, large)), Each(large));
    }
  });
  for (int round = 0; round < 20; ++round) {
    std::stop_source source;
    std::jthread stopper([&source] { source.request_stop(); });
    const CallOptions options{.stop = source.get_token()};
    EXPECT_THAT(pool.try_map([](int x) { return x; }, test::numbers(0, 1000), options),
                SizeIs(1000));
  }
}

TEST_F(StopTest, AfterTheLastTaskChangesNothing) {
  Pool pool(2);
  std::stop_source source;
  const CallOptions options{.stop = source.get_token()};
  EXPECT_EQ(pool.map([](int x) { return x; }, test::numbers(0, 100), options),
            test::numbers(0, 100));
  source.request_stop();
  EXPECT_EQ(pool.map([](int x) { return x; }, test::numbers(0, 100)), test::numbers(0, 100));
}

}  // namespace
}  // namespace bulkhead
