// SPDX-License-Identifier: MIT
//
// Processes that are stopped, as by a debugger or by Ctrl-Z, and go on later.
#include "tests/support/numbers.hpp"
#include "tests/support/process.hpp"
#include <bulkhead/pool.hpp>

#include <atomic>
#include <chrono>
#include <csignal>
#include <thread>
#include <unistd.h>

#include <gmock/gmock.h>

namespace bulkhead {
namespace {

using StoppedProcessTest = test::ProcessTest;

struct State {
  test::Tally others;  ///< tasks that have ended, but for the one that is stopped
  std::atomic<pid_t> stopped{0};
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

}  // namespace
}  // namespace bulkhead
