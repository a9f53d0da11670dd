// SPDX-License-Identifier: MIT
//
// Filters of system calls, installed by the initializer: a worker lives with little, and what is
// forbidden costs the task that calls it.
#include "tests/support/numbers.hpp"
#include "tests/support/process.hpp"
#include "tests/support/sanitizer.hpp"
#include <bulkhead/broadcast.hpp>
#include <bulkhead/partial.hpp>
#include <bulkhead/pool.hpp>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <seccomp.h>
#include <span>
#include <stdexcept>
#include <string>
#include <sys/socket.h>
#include <unistd.h>
#include <utility>
#include <vector>

#include <gmock/gmock.h>

namespace bulkhead {
namespace {

using ::testing::HasSubstr;

class SeccompTest : public test::ProcessTest {
 protected:
  void SetUp() override {
    ProcessTest::SetUp();
    if (test::kSanitized) GTEST_SKIP() << "sanitizers call what no list foresees";
  }
};

void load(scmp_filter_ctx filter) {
  const int error = ::seccomp_load(filter);
  ::seccomp_release(filter);
  if (error != 0) throw std::runtime_error("seccomp_load failed: " + std::to_string(error));
}

void forbid_sockets() {
  scmp_filter_ctx filter = ::seccomp_init(SCMP_ACT_ALLOW);
  ::seccomp_rule_add(filter, SCMP_ACT_TRAP, SCMP_SYS(socket), 0);
  load(filter);
}

int open_socket(int domain) {
  return domain == 0 ? 0 : ::socket(domain, SOCK_STREAM, 0);
}

TEST_F(SeccompTest, AForbiddenCallCostsItsTaskAndIsNamed) {
  Pool pool(Options{.workers = 1, .initializer = forbid_sockets});
  const auto outcomes = pool.try_map(open_socket, {0, AF_INET, 0});
  EXPECT_TRUE(outcomes.at(0));
  ASSERT_FALSE(outcomes.at(1));
  EXPECT_EQ(outcomes[1].failure().signal(), SIGSYS);
  EXPECT_THAT(outcomes[1].failure().what(),
              HasSubstr("forbidden system call " + std::to_string(SCMP_SYS(socket))));
  EXPECT_TRUE(outcomes.at(2));
}

// What worker/README.md says that a worker needs.
using Calls = std::vector<int>;
const Calls kAlways{SCMP_SYS(futex),     SCMP_SYS(write),          SCMP_SYS(fcntl),
                    SCMP_SYS(getpid),    SCMP_SYS(rt_sigprocmask), SCMP_SYS(rt_sigreturn),
                    SCMP_SYS(exit_group)};
const Calls kForMemory{SCMP_SYS(brk), SCMP_SYS(mmap), SCMP_SYS(munmap), SCMP_SYS(mremap),
                       SCMP_SYS(madvise)};
const Calls kInCrashes{SCMP_SYS(rt_sigaction), SCMP_SYS(tgkill), SCMP_SYS(gettid), SCMP_SYS(alarm),
                       SCMP_SYS(pause)};
const Calls kForOutput{SCMP_SYS(ioctl), SCMP_SYS(newfstatat)};
const Calls kForBroadcasts{SCMP_SYS(openat),       SCMP_SYS(readlink), SCMP_SYS(newfstatat),
                           SCMP_SYS(fstat),        SCMP_SYS(fstatfs),  SCMP_SYS(close),
                           SCMP_SYS(memfd_create), SCMP_SYS(ftruncate)};

void allow_only(const std::vector<Calls>& groups) {
  scmp_filter_ctx filter = ::seccomp_init(SCMP_ACT_TRAP);
  for (const Calls& calls : groups) {
    for (const int call : calls) ::seccomp_rule_add(filter, SCMP_ACT_ALLOW, call, 0);
  }
  load(filter);
}

/// Installs a filter that allows no other calls.
Hook allow(std::vector<Calls> groups) {
  return partial(allow_only, std::move(groups));
}

double sum(std::span<const double> numbers, int x) {
  double total = x;
  for (const double number : numbers) total += number;
  return total;
}

std::vector<int> many(int count) {
  if (count < 0) throw std::invalid_argument("a negative number of elements");
  return std::vector<int>(static_cast<std::size_t>(count), count);
}

void expect_ordinary_tasks_end_well(Pool& pool) {
  const auto outcomes = pool.try_map(many, test::numbers(-5, 1000));
  for (const auto& outcome : outcomes) {
    if (outcome) continue;
    EXPECT_EQ(outcome.failure().kind(), FailureKind::exception) << outcome.failure().what();
  }
  EXPECT_EQ(pool.apply(many, 3'000'000).size(), 3'000'000U);
}

TEST_F(SeccompTest, AWorkerNeedsNoMoreThanIsWrittenDown) {
  Pool pool(Options{.workers = 2, .initializer = allow({kAlways, kForMemory, kInCrashes})});
  expect_ordinary_tasks_end_well(pool);
  EXPECT_EQ(pool.try_map(open_socket, {AF_INET}).at(0).failure().signal(), SIGSYS);
}

TEST_F(SeccompTest, ForBroadcastsNoMoreThanIsWrittenDown) {
  Pool pool(Options{.workers = 2, .initializer = allow({kAlways, kForMemory, kForBroadcasts})});
  const auto numbers = broadcast(std::vector<double>(100'000, 1));
  EXPECT_EQ(pool.apply(partial(sum, numbers), 1), 100'001);
  expect_ordinary_tasks_end_well(pool);
}

TEST_F(SeccompTest, ForOutputNoMoreThanIsWrittenDown) {
  Pool pool(Options{.workers = 2,
                    .initializer = allow({kAlways, kForMemory, kForOutput}),
                    .output = Output::capture});
  const auto say = [](int x) { return std::printf("%d\n", x); };
  for (const auto& outcome : pool.try_map(say, test::numbers(100, 200))) {
    ASSERT_TRUE(outcome) << outcome.failure().what();
    EXPECT_EQ(outcome.output().out.size(), 4U);
  }
  expect_ordinary_tasks_end_well(pool);
}

TEST_F(SeccompTest, AFilterThatRefusesInsteadOfEndingDoesNotMakeAWorkerThinkItHasLostAnything) {
  const auto refuse = [] {
    scmp_filter_ctx filter = ::seccomp_init(SCMP_ACT_ERRNO(EPERM));
    for (const int call : kAlways) {
      if (call != SCMP_SYS(fcntl)) ::seccomp_rule_add(filter, SCMP_ACT_ALLOW, call, 0);
    }
    for (const int call : kForMemory) ::seccomp_rule_add(filter, SCMP_ACT_ALLOW, call, 0);
    load(filter);
  };
  Pool pool(Options{.workers = 1, .initializer = refuse});
  expect_ordinary_tasks_end_well(pool);
}

}  // namespace
}  // namespace bulkhead
