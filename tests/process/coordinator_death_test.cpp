// SPDX-License-Identifier: MIT
//
// A coordinator that dies takes its workers with it, however it dies and whatever they do.
#include "tests/support/numbers.hpp"
#include "tests/support/process.hpp"
#include "tests/support/victims.hpp"
#include <bulkhead/pool.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <optional>
#include <set>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

#include <gmock/gmock.h>

namespace bulkhead {
namespace {

using test::Fork;
using test::Process;
using test::workers_of;
using CoordinatorDeathTest = test::ProcessTest;

struct State : test::Gated {
  test::Tally ready;
  std::array<std::atomic<pid_t>, 4> pids;  ///< of the zygote and the workers
};
const test::Shared<State> state;

int same(int x) {
  return x;
}

/// A task that lasts until the gate is opened.
int wait_for_gate(int x) {
  return state->wait_for_gate(x);
}

/// A task that uses all of a CPU for a minute.
int spin(int x) {
  state->begun.add();
  test::work_for(std::chrono::seconds{60});
  return x;
}

/// Starts a coordinator with three workers that run `task`, kills it with `signal`, and expects
/// that nothing of it is left soon.
void expect_gone_after(int signal, int (*task)(int)) {
  state.reset();
  Fork coordinator([task] {
    Pool pool(3);
    const std::set<int> workers = workers_of(pool);
    std::size_t count = 0;
    state->pids[count++] = test::zygote_of(pool);
    for (const int pid : workers) state->pids[count++] = pid;
    if (task == nullptr) state->begun.add(3);
    state->ready.add();
    if (task != nullptr) (void)pool.map(task, test::numbers(0, 100));
    (void)state->gate.reaches(1, std::chrono::seconds{60});
  });
  ASSERT_TRUE(state->ready.reaches(1));
  ASSERT_TRUE(state->begun.reaches(3));
  std::vector<Process> processes;
  for (std::size_t i = 0; i < 4; ++i) processes.emplace_back(state->pids[i]);
  coordinator.process().send(signal);
  EXPECT_TRUE(coordinator.process().ends_within(test::kPatience));
  const auto deadline = std::chrono::steady_clock::now() + test::soon();
  for (const Process& process : processes) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        deadline - std::chrono::steady_clock::now());
    EXPECT_TRUE(process.ends_within(std::max(left, std::chrono::milliseconds{0})))
        << "process " << process.pid() << " lives on";
  }
  coordinator.wait();
}

// Row 152: parent-kill9-idle.
TEST_F(CoordinatorDeathTest, TakesIdleWorkersWithIt) {
  expect_gone_after(SIGKILL, nullptr);
}

// Row 153: parent-kill9-busy.
TEST_F(CoordinatorDeathTest, TakesBusyWorkersWithIt) {
  expect_gone_after(SIGKILL, spin);
  expect_gone_after(SIGKILL, wait_for_gate);
}

TEST_F(CoordinatorDeathTest, TakesWorkersWithItThatIgnoreSignals) {
  expect_gone_after(SIGKILL, [](int x) { return wait_for_gate(test::ignores_signals(x)); });
}

// Row 154: parent-sigterm.
TEST_F(CoordinatorDeathTest, BySigtermTakesBusyWorkersWithIt) {
  expect_gone_after(SIGTERM, spin);
  expect_gone_after(SIGSEGV, wait_for_gate);
}

// Rows 154 and 144: the process leaves without ending its pool.
TEST_F(CoordinatorDeathTest, ByExitTakesTheWorkersWithIt) {
  for (const bool orderly : {false, true}) {
    state.reset();
    Fork coordinator([orderly] {
      static std::optional<Pool> pool;
      pool.emplace(3);
      std::size_t count = 0;
      for (const int pid : workers_of(*pool)) state->pids[count++] = pid;
      state->ready.add();
      EXPECT_TRUE(state->gate.reaches(1));
      if (orderly) std::exit(0);
      ::_exit(0);
    });
    ASSERT_TRUE(state->ready.reaches(1));
    std::vector<Process> workers;
    for (std::size_t i = 0; i < 3; ++i) workers.emplace_back(state->pids[i]);
    state->gate.add();
    const int status = coordinator.wait();
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
    for (const Process& worker : workers) EXPECT_TRUE(worker.ends_within(test::kPatience));
  }
}

// The zygote is killed: no worker can be had any more, and none stays.
TEST_F(CoordinatorDeathTest, OfTheZygoteBreaksThePool) {
  state.reset();
  test::in_fork([] {
    Pool pool(2);
    const Process zygote(test::zygote_of(pool));
    std::vector<Process> workers;
    for (const int pid : workers_of(pool)) workers.emplace_back(pid);
    const CallOptions options{.progress = [&zygote](const Progress&) {
      EXPECT_TRUE(state->begun.reaches(2));
      zygote.send(SIGKILL);
    }};
    EXPECT_THROW((void)pool.map(wait_for_gate, test::numbers(0, 10), options), BrokenPool);
    EXPECT_THROW((void)pool.apply(same, 1), BrokenPool);
    for (const Process& worker : workers) EXPECT_TRUE(worker.ends_within(test::kPatience));
  });
}

}  // namespace
}  // namespace bulkhead
