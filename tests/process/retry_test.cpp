// SPDX-License-Identifier: MIT
//
// Tasks that are run again after they have failed.
#include "tests/support/numbers.hpp"
#include "tests/support/process.hpp"
#include "tests/support/shared.hpp"
#include <bulkhead/pool.hpp>
#include <bulkhead/this_task.hpp>

#include <array>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <thread>
#include <unistd.h>
#include <vector>

#include <gmock/gmock.h>

namespace bulkhead {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;
using ::testing::SizeIs;

constexpr int kTasks = 1000;

struct State {
  std::array<std::atomic<std::uint8_t>, kTasks> runs;
  test::Tally failed;
};
const test::Shared<State> state;

class RetryTest : public test::ProcessTest {
 protected:
  void SetUp() override {
    ProcessTest::SetUp();
    state.reset();
  }
};

int runs_of(int x) {
  return state->runs[static_cast<std::size_t>(x)];
}

/// True in one task of a hundred.
bool is_poisoned(int x) {
  return x % 100 == 42;
}

/// Notes the run; fails in the first attempts of the poisoned tasks.
template <int kFailures, void (*Fail)()>
int fail_at_first(int x) {
  ++state->runs[static_cast<std::size_t>(x)];
  if (is_poisoned(x) && this_task::attempt() <= kFailures) {
    state->failed.add();
    Fail();
  }
  return 10 * x + this_task::attempt();
}

void crash() {
  ::_exit(0);
}
void die_by_signal() {
  ::raise(SIGKILL);
}
void fail_by_exception() {
  throw std::out_of_range("not yet");
}
void hang() {
  for (;;) ::pause();
}

void expect_success_at_second_attempt(const std::vector<int>& values) {
  ASSERT_THAT(values, SizeIs(kTasks));
  for (int x = 0; x < kTasks; ++x) {
    const int attempts = is_poisoned(x) ? 2 : 1;
    EXPECT_EQ(values[static_cast<std::size_t>(x)], 10 * x + attempts);
    EXPECT_EQ(runs_of(x), attempts) << x;
  }
}

// Rows 133 and 136: retry-crash, retry-innocent.
TEST_F(RetryTest, ACrashedTaskIsRunAgainAndNoOtherOneIs) {
  Pool pool(2);
  expect_success_at_second_attempt(pool.map(fail_at_first<1, crash>, test::numbers(0, kTasks),
                                            CallOptions{.retries = {.crashes = 1}}));
}

TEST_F(RetryTest, ATaskThatThrewIsRunAgainIfAskedFor) {
  Pool pool(2);
  expect_success_at_second_attempt(pool.map(fail_at_first<1, fail_by_exception>,
                                            test::numbers(0, kTasks),
                                            CallOptions{.retries = {.exceptions = 1}}));
}

TEST_F(RetryTest, ATaskThatTookTooLongIsRunAgainIfAskedFor) {
  Pool pool(2);
  const CallOptions options{.timeout = 500ms, .retries = {.timeouts = 1}};
  expect_success_at_second_attempt(
      pool.map(fail_at_first<1, hang>, test::numbers(0, kTasks), options));
}

// Row 134: retry-app-error. Each kind of failure has its own budget.
TEST_F(RetryTest, AnotherKindOfFailureThanAskedForIsFinal) {
  Pool pool(2);
  const auto outcomes =
      pool.try_map(fail_at_first<1, fail_by_exception>, test::numbers(0, kTasks),
                   CallOptions{.retries = {.crashes = 5, .timeouts = 5, .out_of_memory = 5}});
  for (int x = 0; x < kTasks; ++x) {
    EXPECT_EQ(outcomes[static_cast<std::size_t>(x)].has_value(), !is_poisoned(x));
    EXPECT_EQ(runs_of(x), 1);
  }
}

TEST_F(RetryTest, IsOffByDefault) {
  Pool pool(2);
  EXPECT_THROW((void)pool.map(fail_at_first<1, crash>, test::numbers(0, kTasks)), CrashError);
  EXPECT_EQ(runs_of(42), 1);
}

// Row 135: retry-poison.
TEST_F(RetryTest, ATaskThatKillsEveryWorkerIsReportedWithItsHistory) {
  Pool pool(2);
  const auto outcomes = pool.try_map(fail_at_first<1000, die_by_signal>, test::numbers(0, kTasks),
                                     CallOptions{.retries = {.crashes = 3}});
  for (int x = 0; x < kTasks; ++x) {
    const Outcome<int>& outcome = outcomes[static_cast<std::size_t>(x)];
    EXPECT_EQ(runs_of(x), is_poisoned(x) ? 4 : 1);
    ASSERT_EQ(outcome.has_value(), !is_poisoned(x));
    if (outcome) continue;
    const Failure& failure = outcome.failure();
    EXPECT_EQ(failure.kind(), FailureKind::crashed);
    EXPECT_EQ(failure.task(), static_cast<std::uint64_t>(x));
    EXPECT_EQ(failure.attempt(), 4);
    ASSERT_THAT(failure.earlier(), SizeIs(3));
    for (int i = 0; i < 3; ++i) {
      const Failure& earlier = failure.earlier()[static_cast<std::size_t>(i)];
      EXPECT_EQ(earlier.attempt(), i + 1);
      EXPECT_EQ(earlier.signal(), SIGKILL);
    }
    EXPECT_THAT(failure.message(), HasSubstr("killed by SIGKILL"));
    EXPECT_THAT(failure.what(), HasSubstr("attempt 4; attempt 1: "));
  }
}

TEST_F(RetryTest, AfterAPauseHoldsUpNoOtherTask) {
  Pool pool(1);
  const auto others_before = [](int x) {
    if (x != 0) {
      state->failed.add();
    } else if (this_task::attempt() < 3) {
      fail_by_exception();
    }
    return static_cast<int>(state->failed.value());
  };
  const auto start = std::chrono::steady_clock::now();
  const CallOptions options{.retries = {.exceptions = 2, .pause = 300ms}};
  EXPECT_EQ(pool.map(others_before, test::numbers(0, 10), options).front(), 9);
  EXPECT_GE(std::chrono::steady_clock::now() - start, 900ms) << "once, and twice as long";
}

TEST_F(RetryTest, EndsWithTheCallThoughThePauseIsLong) {
  Pool pool(2);
  std::stop_source source;
  std::jthread stopper([&source] {
    (void)state->failed.reaches(1);
    source.request_stop();
  });
  const CallOptions options{.stop = source.get_token(), .retries = {.crashes = 1, .pause = 1h}};
  const auto outcomes = pool.try_map(fail_at_first<1, crash>, test::numbers(42, 43), options);
  EXPECT_FALSE(outcomes.at(0));
  EXPECT_EQ(runs_of(42), 1);
}

// Whether a stop or the end of the pool is the reason.
TEST_F(RetryTest, ATaskThatIsGivenUpBeforeItsNextAttemptHasItsHistory) {
  for (const bool terminate : {false, true}) {
    state.reset();
    Pool pool(1);
    const auto crash_at_0 = [](int x) {
      if (x == 0) crash();
      state->failed.add();
      for (;;) ::pause();
    };
    std::stop_source source;
    std::jthread stopper([&] {
      (void)state->failed.reaches(1);
      (void)test::eventually([&] { return pool.stats().worker_ends.crashed == 1; });
      terminate ? pool.terminate() : static_cast<void>(source.request_stop());
    });
    const CallOptions options{.stop = source.get_token(), .retries = {.crashes = 1, .pause = 1h}};
    const auto outcomes = pool.try_map(crash_at_0, test::numbers(0, 2), options);
    ASSERT_FALSE(outcomes.at(0));
    const Failure& failure = outcomes[0].failure();
    EXPECT_EQ(failure.kind(), FailureKind::cancelled);
    EXPECT_EQ(failure.attempt(), 2);
    ASSERT_THAT(failure.earlier(), SizeIs(1)) << failure.what();
    EXPECT_EQ(failure.earlier()[0].exit_code(), 0);
  }
}

// The lowest failed index is what map() throws, however often it was tried.
TEST_F(RetryTest, OfMapEndsWithTheLowestFailureForGood) {
  Pool pool(2);
  try {
    (void)pool.map(fail_at_first<1000, fail_by_exception>, test::numbers(0, kTasks),
                   CallOptions{.retries = {.exceptions = 2, .pause = 10ms}});
    FAIL() << "no failure";
  } catch (const std::out_of_range& error) {
    const auto& remote = dynamic_cast<const RemoteError&>(error);
    EXPECT_EQ(remote.failure().task(), 42U);
    EXPECT_EQ(remote.failure().attempt(), 3);
  }
}

TEST_F(RetryTest, WorksForLargeValues) {
  Pool pool(2);
  const auto fail_once = [](const std::vector<double>& values) {
    if (this_task::attempt() == 1) ::raise(SIGKILL);
    return values;
  };
  const std::vector<std::vector<double>> large(4, std::vector<double>(500'000, 1.5));
  EXPECT_EQ(pool.map(fail_once, large, CallOptions{.retries = {.crashes = 1}}), large);
}

TEST_F(RetryTest, ImpossibleBudgetsAreRefusedWithTheValue) {
  Pool pool(1);
  for (const Retries& retries : {Retries{.exceptions = -1}, Retries{.crashes = 1001},
                                 Retries{.timeouts = -7}, Retries{.pause = -1ms}}) {
    EXPECT_THROW((void)pool.map(fail_at_first<1, crash>, {1}, CallOptions{.retries = retries}),
                 InvalidArgument);
  }
}

TEST_F(RetryTest, AttemptsAreNotCountedOutsideOfTasks) {
  EXPECT_EQ(this_task::attempt(), 0);
  Pool pool(1);
  EXPECT_EQ(pool.apply([] { return this_task::attempt(); }), 1);
}

}  // namespace
}  // namespace bulkhead
