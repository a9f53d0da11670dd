// SPDX-License-Identifier: MIT
//
// A coordinator that dies takes its workers with it, however it dies and whatever they do.
#include "tests/support/numbers.hpp"
#include "tests/support/process.hpp"
#include "tests/support/victims.hpp"
#include <bulkhead/broadcast.hpp>
#include <bulkhead/fork_map.hpp>
#include <bulkhead/pool.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <sys/wait.h>
#include <thread>
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

// Row 145: shutdown-nowait. Nobody joins, and a call is still under way.
TEST_F(CoordinatorDeathTest, ByExitEndsTheTasksOfAClosedPoolToo) {
  state.reset();
  Fork coordinator([] {
    static Pool* const pool = new Pool(3);  // the thread has it for as long as the process lives
    std::thread([] { (void)pool->try_map(wait_for_gate, test::numbers(0, 100)); }).detach();
    EXPECT_TRUE(state->begun.reaches(3));
    pool->close();
    std::exit(0);
  });
  EXPECT_EQ(coordinator.wait(), 0);
  EXPECT_EQ(state->begun.value(), 3U);
}

/// All that a coordinator does, for ever. Counts its steps, and those of its tasks.
[[noreturn]] void live() {
  const auto step = [](int x) {
    state->begun.add();
    return x;
  };
  const auto grow = [](const std::string& text) { return text + text; };
  const auto sum = [](const Broadcast<double[]>& table, int x) {
    state->begun.add();
    return table[0] + x;
  };
  for (int round = 0;; ++round) {
    state->begun.add();
    Pool pool(2);
    state->begun.add();
    (void)pool.map(step, test::numbers(0, 20));
    const auto table = broadcast(std::vector<double>(10'000, 1.0));
    (void)pool.map(partial(sum, table), test::numbers(0, 5));
    (void)pool.try_map(test::only_at<3, test::kills_itself>, test::numbers(0, 5));
    state->begun.add();
    (void)pool.map(grow, std::vector(5, std::string(300'000, 'g')));
    (void)try_fork_map([&](int x) { return step(x) + round; }, test::numbers(0, 3),
                       Options{.workers = 1});
    state->begun.add();
    if (round % 2 == 0) continue;
    pool.close();
    pool.join();
  }
}

// Row 155: parent-kill9-shm.
TEST_F(CoordinatorDeathTest, AtAnyMomentLeavesNoProcessAndNoFile) {
  std::array<char, 32> folder{"/tmp/bulkhead-test-XXXXXX"};
  ASSERT_NE(::mkdtemp(folder.data()), nullptr);
  std::minstd_rand random(1);
  for (int round = 0; round < 60; ++round) {
    state.reset();
    Fork coordinator([&folder] {
      ::setenv("TMPDIR", folder.data(), 1);
      if (::chdir(folder.data()) == 0) live();
    });
    EXPECT_TRUE(state->begun.reaches(static_cast<std::uint32_t>(random() % 120)));
    coordinator.process().send(SIGKILL);
    const int status = coordinator.wait();
    EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) << status;
  }
  EXPECT_TRUE(std::filesystem::is_empty(folder.data())) << "files were left behind";
  std::filesystem::remove_all(folder.data());
}

/// The processes that descend from `pid`.
std::size_t count_descendants(pid_t pid) {
  std::size_t count = 0;
  for (const int child : test::children_of(pid)) count += 1 + count_descendants(child);
  return count;
}

// Row 157: parent-dies-at-birth. Of the zygote, or of one of the workers.
TEST_F(CoordinatorDeathTest, AtTheBirthOfItsProcessesLeavesNoneOfThem) {
  for (std::size_t round = 0; round < 50; ++round) {
    state.reset();
    Fork coordinator([] {
      state->ready.add();
      const Pool pool(3);
      (void)state->gate.reaches(1, std::chrono::seconds{60});
    });
    ASSERT_TRUE(state->ready.reaches(1));
    const pid_t pid = coordinator.process().pid();
    while (count_descendants(pid) < round % 5) {
    }
    coordinator.process().send(SIGKILL);
    coordinator.wait();
  }
}

// Row 158: parent-restart. What a task has left lives on as nobody of the pool does.
TEST_F(CoordinatorDeathTest, ThatLeavesAnOrphanDoesNotDisturbTheNextCoordinator) {
  state.reset();
  const auto leave_orphan = [](int x) {
    if (x == 0 && ::fork() == 0) {
      ::setsid();
      state->pids[1] = ::getpid();
      state->ready.add();
      (void)state->gate.reaches(1, std::chrono::seconds{60});
      ::_exit(0);
    }
    return x;
  };
  Fork first([&] {
    Pool pool(2);
    state->pids[0] = test::zygote_of(pool);
    (void)pool.map(leave_orphan, test::numbers(0, 10));
    (void)pool.map(wait_for_gate, test::numbers(0, 10));
  });
  ASSERT_TRUE(state->ready.reaches(1));
  ASSERT_TRUE(state->begun.reaches(2));
  const Process zygote(state->pids[0]);
  first.process().send(SIGSTOP);  // or it would end the orphan with the zygote
  zygote.send(SIGKILL);
  first.process().send(SIGKILL);
  EXPECT_TRUE(
      test::eventually([] { return test::children_of(::getpid()).contains(state->pids[1]); }));
  test::in_fork([] {
    Pool pool(2);
    test::expect_usable(pool);
  });
  EXPECT_EQ(::kill(state->pids[1], 0), 0) << "the orphan was not there";
  state->gate.add();
  first.wait();
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
