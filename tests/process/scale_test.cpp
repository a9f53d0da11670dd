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

// Row 192, in two seconds instead of ten minutes.
TEST_F(ScaleTest, AnIdlePoolWakesNobody) {
  Pool pool(2);
  EXPECT_EQ(pool.map(next, {1, 2, 3}), (std::vector{2, 3, 4}));
  const auto before = sleeps(pool);
  std::this_thread::sleep_for(std::chrono::seconds{2});
  for (const auto& [pid, count] : sleeps(pool)) {
    // The one sleep of this test; and the spare, which the zygote may still have been about to
    // fork.
    if (!before.contains(pid)) continue;
    EXPECT_LE(count - before.at(pid), 2) << "process " << pid;
  }
}

}  // namespace
}  // namespace bulkhead
