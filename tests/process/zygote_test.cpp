// SPDX-License-Identifier: MIT
//
// The process that forks the workers, seen from within: a handler of pthread_atfork() runs in it.
#include "tests/support/numbers.hpp"
#include "tests/support/process.hpp"
#include "tests/support/sanitizer.hpp"
#include "tests/support/shared.hpp"
#include <bulkhead/pool.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <optional>
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#include <gtest/gtest.h>

namespace bulkhead {
namespace {

using ZygoteTest = test::ProcessTest;

struct State {
  test::Tally forks;
  test::Tally forks_over_the_dead;  ///< while a dead child had not been reaped
  pid_t host = 0;                   ///< 0: the handlers do nothing
};
const test::Shared<State> state;

bool in_zygote() {
  return state->host != 0 && ::getpid() != state->host;
}

/// Waits for one unless `options` has WNOHANG.
bool has_dead_child(int options) {
  siginfo_t info{};
  return ::waitid(P_ALL, 0, &info, WEXITED | WNOWAIT | options) == 0 && info.si_pid != 0;
}

void before_fork() {
  if (!in_zygote()) return;
  state->forks.add();
  if (has_dead_child(WNOHANG)) state->forks_over_the_dead.add();
}

/// The next fork has been asked for when the child is dead.
void after_fork() {
  if (in_zygote()) (void)has_dead_child(0);
}

TEST_F(ZygoteTest, ReportsTheDeadBeforeItForksAgain) {
  state.reset();
  ASSERT_EQ(::pthread_atfork(before_fork, after_fork, nullptr), 0);
  state->host = ::getpid();
  Pool pool(Options{.workers = 8, .initializer = [] { ::_exit(3); }});
  EXPECT_THROW((void)pool.map([](int x) { return x; }, test::numbers(0, 10)), BrokenPool);
  EXPECT_GE(state->forks.value(), 8U);
  EXPECT_EQ(state->forks_over_the_dead.value(), 0U);
  state->host = 0;
}

struct Starts {
  std::atomic<int> begun;
};
const test::Shared<Starts> starts;

// So many are not asked for at once, but in between deaths are heard of.
TEST_F(ZygoteTest, ForksOneSuccessorForEachOfManyThatDieWhileThePoolIsMade) {
  if (test::kSanitized) GTEST_SKIP() << "too many processes with so much memory each";
  constexpr std::size_t kWorkers = 400;
  starts.reset();
  const auto die_at_times = [] {
    if (starts->begun.fetch_add(1) % 5 == 1) ::_exit(3);
  };
  std::optional<Pool> pool;
  try {
    pool.emplace(Options{.workers = static_cast<int>(kWorkers), .initializer = die_at_times});
  } catch (const SystemError& error) {
    GTEST_SKIP() << error.what();
  }
  const auto same = [](int x) { return x; };
  EXPECT_EQ(pool->map(same, test::numbers(0, 1000)), test::numbers(0, 1000));
  const pid_t zygote = test::zygote_of(*pool);
  EXPECT_TRUE(test::eventually([&] {  // a pool that is not used replaces nobody
    return pool->apply(same, 1) == 1 && test::workers_under(zygote).size() >= kWorkers;
  }));
  EXPECT_EQ(test::workers_under(zygote).size(), kWorkers) << "some are known to nobody";
}

TEST_F(ZygoteTest, EndsManyWorkersAtOnce) {
  if (test::kSanitized) GTEST_SKIP() << "too many processes with so much memory each";
  constexpr int kWorkers = 400;
  std::optional<Pool> pool;
  try {
    pool.emplace(kWorkers);
  } catch (const SystemError& error) {
    GTEST_SKIP() << error.what();
  }
  const auto hang = [](int x) {
    for (;;) ::pause();
    return x;
  };
  const CallOptions options{.timeout = std::chrono::milliseconds(500)};
  for (const auto& outcome : pool->try_map(hang, test::numbers(0, kWorkers), options)) {
    ASSERT_FALSE(outcome);
    ASSERT_EQ(outcome.failure().kind(), FailureKind::timed_out) << outcome.failure().what();
  }
  EXPECT_EQ(pool->apply([](int x) { return x; }, 5), 5);
}

}  // namespace
}  // namespace bulkhead
