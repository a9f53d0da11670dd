// SPDX-License-Identifier: MIT
//
// Many tiny calls, and none for a while.
#include "tests/support/process.hpp"
#include <bulkhead/pool.hpp>

#include <chrono>
#include <fstream>
#include <map>
#include <set>
#include <string>
#include <thread>
#include <unistd.h>
#include <vector>

#include <gmock/gmock.h>

namespace bulkhead {
namespace {

using ScaleTest = test::ProcessTest;

int next(int x) {
  return x + 1;
}

// Row 188.
TEST_F(ScaleTest, TwentyThousandCallsOneByOne) {
  Pool pool(1);
  for (int x = 0; x < 20'000; ++x) ASSERT_EQ(pool.apply(next, x), x + 1);
}

/// How often each process of the pool has gone to sleep, or been put there.
std::map<int, long> sleeps(Pool& pool) {
  std::map<int, long> counts;
  std::set<int> processes = test::workers_of(pool);
  processes.insert(test::zygote_of(pool));
  processes.insert(::getpid());
  for (const int pid : processes) {
    std::ifstream status("/proc/" + std::to_string(pid) + "/status");
    for (std::string word; status >> word;) {
      if (word != "voluntary_ctxt_switches:") continue;
      status >> counts[pid];
    }
  }
  return counts;
}

/// Waits until none of them but this one has moved for a while, as the spare is there.
void settle(Pool& pool) {
  std::map<int, long> last;
  int looks_alike = 0;
  EXPECT_TRUE(test::eventually([&] {
    std::map<int, long> now = sleeps(pool);
    now.erase(::getpid());
    looks_alike = now == last ? looks_alike + 1 : 0;
    last = std::move(now);
    return looks_alike == 50;
  }));
}

// Row 192, in two seconds instead of ten minutes.
TEST_F(ScaleTest, AnIdlePoolWakesNobody) {
  Pool pool(2);
  EXPECT_EQ(pool.map(next, {1, 2, 3}), (std::vector{2, 3, 4}));
  settle(pool);
  const auto before = sleeps(pool);
  std::this_thread::sleep_for(std::chrono::seconds{2});
  for (const auto& [pid, count] : sleeps(pool)) {
    ASSERT_TRUE(before.contains(pid));
    EXPECT_LE(count - before.at(pid), 4) << "process " << pid;
  }
}

}  // namespace
}  // namespace bulkhead
