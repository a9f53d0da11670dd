// SPDX-License-Identifier: MIT
//
// Forks that the process with the pool makes for purposes of its own.
#include "tests/support/numbers.hpp"
#include "tests/support/process.hpp"
#include "tests/support/sanitizer.hpp"
#include "tests/support/victims.hpp"
#include <bulkhead/pool.hpp>

#include <array>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdlib>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include <gmock/gmock.h>

namespace bulkhead {
namespace {

using test::expect_usable;
using test::Fork;
using test::Process;
using test::workers_of;
using ::testing::HasSubstr;
using HostForkTest = test::ProcessTest;

struct State : test::Gated {
  std::array<std::atomic<pid_t>, 3> pids;  ///< of the zygote and the workers
};
const test::Shared<State> state;

int same(int x) {
  return x;
}

int wait_for_gate(int x) {
  return state->wait_for_gate(x);
}

// Row 169: host-fork.
TEST_F(HostForkTest, ThatEndsInOrderLeavesThePoolAlone) {
  auto pool = std::make_unique<Pool>(2);
  const std::set<int> workers = workers_of(*pool);
  for (const bool destroys : {true, false}) {
    Fork copy([&] {
      if (destroys) pool.reset();
      std::exit(0);
    });
    EXPECT_EQ(copy.wait(), 0);
  }
  EXPECT_EQ(workers_of(*pool), workers);
  expect_usable(*pool);
}

// Row 170: host-fork-uses.
TEST_F(HostForkTest, ThatUsesThePoolIsToldThatItMayNot) {
  Pool pool(2);
  const pid_t owner = ::getpid();
  Fork copy([&pool, owner] {
    const auto expect_refusal = [owner](auto call) {
      try {
        call();
        ADD_FAILURE() << "the pool was used";
      } catch (const PoolClosed& error) {
        EXPECT_THAT(error.what(), HasSubstr("belongs to process " + std::to_string(owner)));
        EXPECT_THAT(error.what(), HasSubstr("make a new Pool"));
      }
    };
    expect_refusal([&] { (void)pool.map(same, std::vector{1}); });
    expect_refusal([&] { (void)pool.try_map(same, std::vector{1}); });
    expect_refusal([&] { (void)pool.apply(same, 1); });
    expect_refusal([&] { pool.close(); });
    expect_refusal([&] { pool.join(); });
    expect_refusal([&] { pool.terminate(); });
    Pool own(1);
    EXPECT_EQ(own.apply(same, 1), 1);
  });
  EXPECT_EQ(copy.wait(), 0);
  expect_usable(pool);
}

// Row 171: host-fork-holds.
TEST_F(HostForkTest, ThatLivesOnKeepsNoWorkerAlive) {
  state.reset();
  Fork host([] {
    Pool pool(2);
    std::size_t count = 0;
    state->pids[count++] = test::zygote_of(pool);
    for (const int pid : workers_of(pool)) state->pids[count++] = pid;
    if (::fork() == 0) {
      (void)state->gate.reaches(1, std::chrono::seconds{60});
      ::_exit(0);
    }
    (void)pool.map(wait_for_gate, test::numbers(0, 100));
  });
  ASSERT_TRUE(state->begun.reaches(2));
  std::vector<Process> processes;
  for (std::size_t i = 0; i < 3; ++i) processes.emplace_back(state->pids[i]);
  host.process().send(SIGKILL);
  for (const Process& process : processes) EXPECT_TRUE(process.ends_within(test::kPatience));
  state->gate.add();
  host.wait();
}

TEST_F(HostForkTest, MayDestroyAPoolOnWhichThreadsWait) {
  auto pool = std::make_unique<Pool>(2);
  state.reset();
  std::vector<std::thread> threads;
  for (int i = 0; i < 2; ++i) {
    threads.emplace_back([&] { EXPECT_EQ(pool->apply(wait_for_gate, 5), 5); });
  }
  EXPECT_TRUE(state->begun.reaches(2));
  Fork copy([&] {
    pool.reset();
    ::_exit(7);
  });
  EXPECT_EQ(WEXITSTATUS(copy.wait(std::chrono::seconds{30})), 7);
  state->gate.add();
  for (std::thread& thread : threads) thread.join();
}

/// Forks all the time, in a thread of its own; each copy does `body` and must leave with code 0.
class Forker {
 public:
  explicit Forker(const std::function<void()>& body)
      : thread_([this, body] {
          for (; !over_; ++copies_) fork_once(body);
        }) {}
  /// How many copies there were.
  int end() {
    over_ = true;
    thread_.join();
    return copies_;
  }

 private:
  static void fork_once(const std::function<void()>& body) {
    const pid_t copy = ::fork();
    if (copy == 0) {
      body();
      ::_exit(7);
    }
    int status = 0;
    EXPECT_EQ(::waitpid(copy, &status, 0), copy);
    EXPECT_EQ(status, 0) << "a copy ended by signal " << WTERMSIG(status) << " or code "
                         << WEXITSTATUS(status);
  }

  std::atomic<bool> over_ = false;
  int copies_ = 0;
  std::thread thread_;
};

/// Calls of all kinds: tiny tasks, large values, crashes.
void use(Pool& pool) {
  for (int round = 0; round < 60; ++round) {
    EXPECT_EQ(pool.map(same, test::numbers(0, 3000)), test::numbers(0, 3000));
    const auto grow = [](const std::string& text) { return text + text; };
    EXPECT_EQ(pool.map(grow, std::vector(4, std::string(200'000, 'g'))),
              std::vector(4, std::string(400'000, 'g')));
    EXPECT_THROW((void)pool.apply(test::kills_itself, 0), CrashError);
  }
}

// Row 169: host-fork, in the midst of calls.
TEST_F(HostForkTest, ThatEndInOrderWhileCallsRunLeaveThePoolAlone) {
  if (test::kAddressSanitizer) {
    GTEST_SKIP()
        << "LeakSanitizer takes for lost what only the stack of a thread holds that is not "
           "in the copy";
  }
  Pool pool(2);
  Forker forker([] { std::exit(0); });
  use(pool);
  EXPECT_GT(forker.end(), 0);
  expect_usable(pool);
}

// The copy may find the pool's books in the midst of a change.
TEST_F(HostForkTest, MayDestroyAPoolThatIsAtWork) {
  auto pool = std::make_unique<Pool>(2);
  Forker forker([&pool] {
    pool.reset();
    ::_exit(0);
  });
  use(*pool);
  EXPECT_GT(forker.end(), 0);
  expect_usable(*pool);
}

}  // namespace
}  // namespace bulkhead
