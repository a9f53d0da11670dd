// SPDX-License-Identifier: MIT
//
// What a task costs beside the work: no allocation, no copy of its argument or result but the one
// into a ring and the one out of it, and (nearly) no system call, in the coordinator or in a
// worker.
#include "tests/support/allocations.hpp"
#include "tests/support/footprint.hpp"
#include "tests/support/numbers.hpp"
#include "tests/support/process.hpp"
#include "tests/support/sanitizer.hpp"
#include "tests/support/start.hpp"
#include <bulkhead/pool.hpp>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <map>
#include <string>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>
#include <utility>
#include <vector>

#include <gmock/gmock.h>

namespace bulkhead {
namespace {

using HotPathTest = test::ProcessTest;

/// What a worker has allocated so far.
struct Report {
  std::int64_t worker = 0;
  std::uint64_t allocations = 0;
};

Report report(int) {
  return {::getpid(), test::allocations()};
}

/// Too large for a run: each travels in a frame of its own.
struct Wide {
  std::array<std::int64_t, 16> numbers{};
};

Wide report_wide(const Wide&) {
  return {{::getpid(), static_cast<std::int64_t>(test::allocations())}};
}

/// Expects that no worker has allocated anything between its first and its last task.
void expect_no_allocations(const std::vector<Report>& reports) {
  std::map<std::int64_t, std::pair<std::uint64_t, std::uint64_t>> range;
  for (const Report& one : reports) {
    auto& [first, last] = range.try_emplace(one.worker, one.allocations, 0).first->second;
    first = std::min(first, one.allocations);
    last = std::max(last, one.allocations);
  }
  for (const auto& [worker, counts] : range) EXPECT_EQ(counts.first, counts.second) << worker;
}

TEST_F(HotPathTest, AWorkerAllocatesNothingForATask) {
  if (!test::kCountsAllocations) GTEST_SKIP() << "operator new is the sanitizer's";
  Pool pool(2);
  (void)pool.map(report, test::numbers(0, 1000));
  expect_no_allocations(pool.map(report, test::numbers(0, 20'000)));
}

TEST_F(HotPathTest, AWorkerAllocatesNothingForATaskInAFrameOfItsOwn) {
  if (!test::kCountsAllocations) GTEST_SKIP() << "operator new is the sanitizer's";
  Pool pool(2);
  const std::vector<Wide> elements(5000);
  (void)pool.map(report_wide, elements);
  std::vector<Report> reports;
  for (const Wide& wide : pool.map(report_wide, elements)) {
    reports.push_back({wide.numbers[0], static_cast<std::uint64_t>(wide.numbers[1])});
  }
  expect_no_allocations(reports);
}

/// Allocations of this process during a map of f over the elements.
template <class F, class T>
std::uint64_t allocations_of(Pool& pool, F f, const std::vector<T>& elements) {
  const std::uint64_t before = test::allocations();
  const auto results = pool.map(f, elements);
  EXPECT_EQ(results.size(), elements.size());
  return test::allocations() - before;
}

// Some for each batch of tasks, none for each task.
TEST_F(HotPathTest, TheCoordinatorAllocatesNothingForATask) {
  if (!test::kCountsAllocations) GTEST_SKIP() << "operator new is the sanitizer's";
  Pool pool(2);
  const auto same = [](std::int64_t x) { return x; };
  (void)allocations_of(pool, same, std::vector<std::int64_t>(10'000));
  EXPECT_LT(allocations_of(pool, same, std::vector<std::int64_t>(200'000)), 2000U);
  const auto wide = [](const Wide& x) { return x; };
  (void)allocations_of(pool, wide, std::vector<Wide>(1000));
  EXPECT_LT(allocations_of(pool, wide, std::vector<Wide>(50'000)), 5000U);
}

std::uint64_t copies = 0;

/// Counts how often one of its kind is copied in this process.
struct Tracked {
  std::string text;
  std::uint64_t copies_in_worker = 0;

  Tracked() = default;
  explicit Tracked(std::string a_text) : text(std::move(a_text)) {}
  Tracked(const Tracked& other) : text(other.text), copies_in_worker(other.copies_in_worker) {
    ++copies;
  }
  Tracked& operator=(const Tracked& other) {
    text = other.text;
    ++copies;
    return *this;
  }
  Tracked(Tracked&&) = default;
  Tracked& operator=(Tracked&&) = default;
  ~Tracked() = default;

  template <class Archive>
  void serialize(Archive& archive) {
    archive(text, copies_in_worker);
  }
};

TEST_F(HotPathTest, NoArgumentAndNoResultIsCopiedBesideTheRing) {
  Pool pool(2);
  const std::vector<Tracked> elements(100, Tracked(std::string(1000, 'x')));
  copies = 0;
  const auto count = [](Tracked x) {
    x.copies_in_worker = copies;
    return x;
  };
  for (const Tracked& result : pool.map(count, elements)) {
    EXPECT_EQ(result.text.size(), 1000U);
    EXPECT_EQ(result.copies_in_worker, 0U);
  }
  for (const auto& outcome : pool.try_map(count, elements))
    EXPECT_EQ(outcome->copies_in_worker, 0U);
  EXPECT_EQ(copies, 0U);
}

/// System calls of a process that runs `body`, and of all its descendants.
template <class Body>
std::uint64_t system_calls_of(Body body) {
  const pid_t child = ::fork();
  if (child == 0) {
    ::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr);
    ::raise(SIGSTOP);
    body();
    ::_exit(0);
  }
  int status = 0;
  EXPECT_EQ(::waitpid(child, &status, 0), child);
  ::ptrace(PTRACE_SETOPTIONS, child, nullptr,
           PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEFORK | PTRACE_O_TRACECLONE | PTRACE_O_TRACEVFORK |
               PTRACE_O_EXITKILL);
  ::ptrace(PTRACE_SYSCALL, child, nullptr, nullptr);
  std::uint64_t stops = 0;
  for (;;) {
    const pid_t pid = ::waitpid(-1, &status, __WALL);
    if (pid < 0 && errno == EINTR) continue;
    if (pid < 0) break;
    if (!WIFSTOPPED(status)) {
      EXPECT_TRUE(pid != child || status == 0);
      continue;
    }
    const int signal = WSTOPSIG(status);
    const bool at_call = signal == (SIGTRAP | 0x80);
    stops += at_call ? 1 : 0;
    const bool ours = at_call || signal == SIGTRAP || signal == SIGSTOP;
    ::ptrace(PTRACE_SYSCALL, pid, nullptr, ours ? 0 : signal);
  }
  return stops / 2;  // one before, one after each
}

TEST_F(HotPathTest, ATaskMakesNoSystemCall) {
  if (test::kSanitized) GTEST_SKIP() << "sanitizers make system calls of their own";
  BULKHEAD_FORK_ONLY("workers of others are not under the traced process");
  const auto calls_for = [](int tasks) {
    return system_calls_of([tasks] {
      Pool pool(2);
      const auto same = [](std::int64_t x) { return x; };
      if (pool.map(same, std::vector<std::int64_t>(static_cast<std::size_t>(tasks))).empty()) {
        ::_exit(1);
      }
    });
  };
  const std::uint64_t few = calls_for(100'000);
  const std::uint64_t many = calls_for(600'000);
  EXPECT_GT(few, 50U) << "nothing was counted";
  EXPECT_LT(many, few + 5000) << "for 500,000 tasks more";
}

}  // namespace
}  // namespace bulkhead
