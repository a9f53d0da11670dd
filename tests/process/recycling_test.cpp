// SPDX-License-Identifier: MIT
//
// Workers that have done their share, or have grown too much, make room for others.
#include "tests/support/numbers.hpp"
#include "tests/support/process.hpp"
#include "tests/support/sanitizer.hpp"
#include "tests/support/shared.hpp"
#include <bulkhead/pool.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <stdexcept>
#include <unistd.h>
#include <vector>

#include <gmock/gmock.h>

namespace bulkhead {
namespace {

const test::Shared<test::Tally> finalized;

using namespace std::chrono_literals;
using RecyclingTest = test::ProcessTest;

constexpr std::uint64_t kMiB = 1 << 20;

int own_pid(int) {
  return static_cast<int>(::getpid());
}

std::vector<int> numbers(int count) {
  return test::numbers(0, count);
}

std::map<int, int> tasks_by_worker(const std::vector<int>& pids) {
  std::map<int, int> counts;
  for (const int pid : pids) ++counts[pid];
  return counts;
}

// Row 128.
TEST_F(RecyclingTest, AWorkerThatHasRunItsShareOfTasksIsReplaced) {
  Pool pool(Options{.workers = 3, .max_tasks_per_worker = 10});
  const auto counts = tasks_by_worker(pool.map(own_pid, numbers(100)));
  EXPECT_GE(counts.size(), 10U);
  for (const auto& [pid, tasks] : counts) EXPECT_LE(tasks, 10) << "process " << pid;
}

TEST_F(RecyclingTest, GoesOnFromCallToCall) {
  Pool pool(Options{.workers = 1, .max_tasks_per_worker = 3});
  std::vector<int> pids;
  for (int call = 0; call < 9; ++call) pids.push_back(pool.apply(own_pid, 0));
  const auto counts = tasks_by_worker(pids);
  EXPECT_EQ(counts.size(), 3U);
  for (const auto& [pid, tasks] : counts) EXPECT_EQ(tasks, 3) << "process " << pid;
}

// Row 129.
TEST_F(RecyclingTest, ATaskForEachWorkerAndAClosedPool) {
  Pool pool(Options{.workers = 2, .max_tasks_per_worker = 1});
  std::vector<int> pids;
  std::thread caller([&] { pids = pool.map(own_pid, numbers(6)); });
  caller.join();
  pool.close();
  pool.join();
  EXPECT_EQ(tasks_by_worker(pids).size(), 6U);
}

// Row 130.
TEST_F(RecyclingTest, TasksThatWaitAtAWorkerThatLeavesGoToOthers) {
  Pool pool(Options{.workers = 2, .max_tasks_per_worker = 2});
  for (int round = 0; round < 5; ++round) {
    for (const auto& [pid, tasks] : tasks_by_worker(pool.map(own_pid, numbers(8)))) {
      EXPECT_LE(tasks, 2) << "process " << pid;
    }
  }
}

TEST_F(RecyclingTest, CountsTasksThatThrowAndNotThoseOfAPredecessorThatDied) {
  Pool pool(Options{.workers = 1, .max_tasks_per_worker = 3});
  const auto misbehave = [](int x) {
    if (x == 1) throw std::runtime_error("no");
    if (x == 2) ::_exit(3);
    return static_cast<int>(::getpid());
  };
  const auto outcomes = pool.try_map(misbehave, std::vector{0, 1, 2, 0, 0, 0, 0});
  EXPECT_FALSE(outcomes.at(2));
  EXPECT_EQ(*outcomes.at(3), *outcomes.at(5));
  EXPECT_NE(*outcomes.at(3), *outcomes.at(6));
}

TEST_F(RecyclingTest, AWorkerThatLeavesRunsItsFinalizer) {
  finalized.reset();
  Pool pool(
      Options{.workers = 1, .finalizer = [] { finalized->add(); }, .max_tasks_per_worker = 1});
  EXPECT_EQ(pool.map(own_pid, numbers(5)).size(), 5U);
  EXPECT_TRUE(finalized->reaches(4));
  pool.close();
  pool.join();
  EXPECT_GE(finalized->value(), 5U);
}

/// Three MiB that nobody frees, and the process that has them.
int leak(int) {
  constexpr std::size_t kBytes = 3 * kMiB;
  auto* memory = static_cast<volatile char*>(std::malloc(kBytes));
  for (std::size_t i = 0; i < kBytes; i += 4096) memory[i] = 1;
  test::work_for(1ms);
  return static_cast<int>(::getpid());
}

// Row 116.
TEST_F(RecyclingTest, WorkersOfTasksThatLeakAreReplacedBeforeTheyHaveGrownTooLarge) {
  if (test::kSanitized) GTEST_SKIP() << "sanitizers need memory of their own";
  Pool pool(Options{.workers = 2, .recycle_rss = 32 * kMiB});
  const auto counts = tasks_by_worker(pool.map(leak, numbers(100)));
  EXPECT_GT(counts.size(), 2U);
  // 11 tasks make 33 MiB; and what runs in 10 ms, at 3 MiB a millisecond.
  for (const auto& [pid, tasks] : counts) EXPECT_LE(tasks, 40) << "process " << pid;
}

TEST_F(RecyclingTest, MemoryOfTheHostDoesNotMakeAWorkerLarge) {
  if (test::kSanitized) GTEST_SKIP() << "sanitizers need memory of their own";
  const std::vector<std::byte> of_the_host(100 * kMiB, std::byte{1});
  Pool pool(Options{.workers = 1, .recycle_rss = 32 * kMiB});
  const auto long_task = [](int x) {
    test::work_for(11ms);
    return own_pid(x);
  };
  EXPECT_EQ(tasks_by_worker(pool.map(long_task, numbers(5))).size(), 1U);
}

TEST_F(RecyclingTest, AGrowthThatNobodyReachesRecyclesNobody) {
  Pool pool(Options{.workers = 1, .recycle_rss = ~std::uint64_t{0}});
  const auto long_task = [](int x) {
    test::work_for(11ms);
    return own_pid(x);
  };
  EXPECT_EQ(tasks_by_worker(pool.map(long_task, numbers(5))).size(), 1U);
}

}  // namespace
}  // namespace bulkhead
