// SPDX-License-Identifier: MIT
//
// Processes that are stopped, as by a debugger or by Ctrl-Z, and go on later.
#include "tests/support/numbers.hpp"
#include "tests/support/process.hpp"
#include <bulkhead/pool.hpp>
#include <bulkhead/this_task.hpp>

#include <array>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <fstream>
#include <set>
#include <string>
#include <thread>
#include <unistd.h>

#include <gmock/gmock.h>

namespace bulkhead {
namespace {

using namespace std::chrono_literals;
using StoppedProcessTest = test::ProcessTest;

constexpr int kTasks = 12;

struct State {
  test::Tally others;  ///< tasks that have ended, but for the one that is stopped
  std::atomic<pid_t> stopped{0};
  std::array<std::atomic<int>, kTasks> runs;
};
const test::Shared<State> state;

// Row 97: stop-one.
TEST_F(StoppedProcessTest, AStoppedWorkerDelaysItsOwnTaskOnly) {
  state.reset();
  const auto stop_at_5 = [](int x) {
    if (x == 5) {
      state->stopped = ::getpid();
      ::raise(SIGSTOP);
    } else {
      state->others.add();
    }
    return x;
  };
  Pool pool(3);
  bool others_ended = false;
  std::thread waker([&others_ended] {
    others_ended = state->others.reaches(11);
    (void)test::eventually([] { return state->stopped != 0; });
    ::kill(state->stopped, SIGCONT);
  });
  EXPECT_EQ(pool.map(stop_at_5, test::numbers(0, 12)), test::numbers(0, 12));
  waker.join();
  EXPECT_TRUE(others_ended);
}

// Row 101: stop-parent. Its own pause is nobody's fault.
TEST_F(StoppedProcessTest, AStoppedCoordinatorGoesOnAsIfNothingHadHappened) {
  state.reset();
  test::Fork host([] {
    Pool pool(2);
    const auto task = [](int x) {
      state->others.add();
      test::work_for(std::chrono::microseconds{100});
      return x;
    };
    const CallOptions options{.timeout = std::chrono::seconds{1}};
    EXPECT_EQ(pool.map(task, test::numbers(0, 10'000), options), test::numbers(0, 10'000));
  });
  ASSERT_TRUE(state->others.reaches(100));
  host.process().send(SIGSTOP);
  std::this_thread::sleep_for(std::chrono::seconds{2});  // longer than any task may take
  host.process().send(SIGCONT);
  EXPECT_EQ(host.wait(), 0);
}

// Row 99: stop-heartbeat. There is none: what counts is the time that a task takes.
TEST_F(StoppedProcessTest, AStoppedTaskIsEndedWhenItsTimeIsUp) {
  Pool pool(2);
  const std::set<int> before = test::workers_of(pool);
  const auto stop_at_5 = [](int x) {
    if (x == 5) ::raise(SIGSTOP);
    return x;
  };
  const CallOptions options{.timeout = 1s};
  const auto outcomes = pool.try_map(stop_at_5, test::numbers(0, kTasks), options);
  for (int x = 0; x < kTasks; ++x) {
    EXPECT_EQ(outcomes.at(static_cast<std::size_t>(x)).value_or(-1), x == 5 ? -1 : x);
  }
  EXPECT_EQ(outcomes[5].failure().kind(), FailureKind::timed_out);
  EXPECT_TRUE(before.contains(outcomes[5].failure().worker_pid()));
  EXPECT_TRUE(test::eventually([&] {
    EXPECT_EQ(pool.apply([] { return 7; }), 7);
    return test::workers_of(pool).size() == 2;
  })) << "the stopped worker was not replaced";
}

// Row 99: stop-heartbeat, where nobody can say what the worker is doing.
TEST_F(StoppedProcessTest, AWorkerThatWasStoppedBeforeItsTaskIsEndedToo) {
  Pool pool(1);
  const pid_t worker = pool.apply(::getpid);
  ASSERT_EQ(::kill(worker, SIGSTOP), 0);
  const auto same = [](int x) { return x; };
  const auto outcomes = pool.try_map(same, test::numbers(0, 3), CallOptions{.timeout = 1s});
  ASSERT_FALSE(outcomes.at(0));
  EXPECT_EQ(outcomes[0].failure().kind(), FailureKind::timed_out);
  EXPECT_EQ(outcomes[0].failure().worker_pid(), worker);
  EXPECT_EQ(outcomes.at(1).value_or(-1), 1);
  EXPECT_EQ(outcomes.at(2).value_or(-1), 2);
}

/// True if the process has been sent a SIGTERM that it blocks.
bool awaits_sigterm(pid_t pid) {
  std::ifstream status("/proc/" + std::to_string(pid) + "/status");
  for (std::string word; status >> word;) {
    std::string mask;
    if (word == "ShdPnd:" && status >> mask)
      return (std::stoull(mask, nullptr, 16) >> (SIGTERM - 1)) % 2 == 1;
  }
  return false;
}

// Row 100: stop-late-wake. The task goes on, and answers, between SIGTERM and SIGKILL.
TEST_F(StoppedProcessTest, ATaskThatGoesOnAfterItsTimeDoesNotAnswerForTheNextAttempt) {
  state.reset();
  const auto oversleep = [](int x) {
    ++state->runs[static_cast<std::size_t>(x)];
    if (x == 5 && this_task::attempt() == 1) {
      sigset_t terminate;
      ::sigemptyset(&terminate);
      ::sigaddset(&terminate, SIGTERM);
      ::sigprocmask(SIG_BLOCK, &terminate, nullptr);
      state->stopped = ::getpid();
      ::raise(SIGSTOP);
    }
    return 100 * this_task::attempt() + x;
  };
  Pool pool(2);
  std::thread waker([] {
    (void)test::eventually([] { return state->stopped != 0 && awaits_sigterm(state->stopped); });
    ::kill(state->stopped, SIGCONT);
  });
  const CallOptions options{.timeout = 1s, .retries = {.timeouts = 1}};
  const auto outcomes = pool.try_map(oversleep, test::numbers(0, kTasks), options);
  waker.join();
  for (int x = 0; x < kTasks; ++x) {
    const auto i = static_cast<std::size_t>(x);
    EXPECT_EQ(outcomes.at(i).value_or(-1), (x == 5 ? 200 : 100) + x);
    EXPECT_EQ(state->runs[i], x == 5 ? 2 : 1);
  }
  EXPECT_EQ(pool.apply([] { return 7; }), 7);
}

}  // namespace
}  // namespace bulkhead
