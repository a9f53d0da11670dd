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

using Sleeps = std::map<int, long>;  // by process

/// How often each of these has gone to sleep, or been put there.
Sleeps sleeps_of(const std::set<int>& processes) {
  Sleeps counts;
  for (const int pid : processes) {
    std::ifstream status("/proc/" + std::to_string(pid) + "/status");
    for (std::string word; status >> word;) {
      if (word != "voluntary_ctxt_switches:") continue;
      status >> counts[pid];
    }
  }
  return counts;
}

/// The same, once none of them has moved for a while: the spare is there.
Sleeps sleeps_of_idle(const std::set<int>& processes) {
  Sleeps last;
  int looks_alike = 0;
  EXPECT_TRUE(test::eventually([&] {
    Sleeps now = sleeps_of(processes);
    looks_alike = now == last ? looks_alike + 1 : 0;
    last = std::move(now);
    return looks_alike == 50;
  }));
  return last;
}

// Row 192, in two seconds instead of ten minutes.
TEST_F(ScaleTest, AnIdlePoolWakesNobody) {
  Pool pool(2);
  EXPECT_EQ(pool.map(next, {1, 2, 3}), (std::vector{2, 3, 4}));
  std::set<int> processes = test::workers_of(pool);
  processes.insert(test::zygote_of(pool));
  const Sleeps before = sleeps_of_idle(processes);
  const long own_before = sleeps_of({::getpid()}).at(::getpid());
  std::this_thread::sleep_for(std::chrono::seconds{2});
  EXPECT_LE(sleeps_of({::getpid()}).at(::getpid()) - own_before, 4) << "one is this test's";
  for (const auto& [pid, count] : sleeps_of(processes)) {
    EXPECT_LE(count - before.at(pid), 4) << "process " << pid;
  }
}

}  // namespace
}  // namespace bulkhead
