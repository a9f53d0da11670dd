// SPDX-License-Identifier: MIT
//
// Bad days: no descriptors, no processes, system calls that are refused. An error says so and
// nothing is left behind; a pool that runs goes on with what it has. No memory:
// scarce_memory_test.cpp.
#include "tests/support/numbers.hpp"
#include "tests/support/process.hpp"
#include "tests/support/sanitizer.hpp"
#include "tests/support/victims.hpp"
#include <bulkhead/pool.hpp>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <memory>
#include <mutex>
#include <ostream>
#include <string>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <system_error>
#include <thread>
#include <unistd.h>
#include <vector>

#include <gmock/gmock.h>
#include <spdlog/logger.h>
#include <spdlog/sinks/base_sink.h>

namespace bulkhead {
namespace {

using test::in_fork;
using ::testing::HasSubstr;
using ::testing::SizeIs;
using ScarcityTest = test::ProcessTest;

/// A user that nobody else is, so that limits on his processes count only those of the test.
constexpr uid_t kNobodyElse = 54'321;

int same(int x) {
  return x;
}

void set_limit(int resource, rlim_t limit) {
  const rlimit both{limit, limit};
  ASSERT_EQ(::setrlimit(static_cast<__rlimit_resource>(resource), &both), 0);
}

// ---------------------------------------------------------------------------------------------
// System calls that are refused, as by a strict sandbox.

/// From now on `number` fails in this process and its forks.
void refuse(long number, int error) {
  const auto call = static_cast<std::uint32_t>(number);
  std::array<sock_filter, 4> program{{
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),  // the number of the call comes first
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | static_cast<std::uint32_t>(error)),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  }};
  const sock_fprog filter{program.size(), program.data()};
  ASSERT_EQ(::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
  ASSERT_EQ(::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter), 0);
}

struct Refusal {
  const char* name;
  long number;
  int error;
};

void PrintTo(const Refusal& refusal, std::ostream* out) {
  *out << refusal.name;
}

class RefusalTest : public test::ProcessTest, public ::testing::WithParamInterface<Refusal> {};

constexpr std::array kRefusals{
    Refusal{"memfd_create", SYS_memfd_create, ENOSYS},
    Refusal{"memfd_create_for_want_of_memory", SYS_memfd_create, ENOMEM},
    Refusal{"ftruncate", SYS_ftruncate, ENOSPC},
    Refusal{"eventfd", SYS_eventfd2, EMFILE},
    Refusal{"epoll_create", SYS_epoll_create1, EMFILE},
    Refusal{"epoll_ctl", SYS_epoll_ctl, ENOSPC},
    Refusal{"socketpair", SYS_socketpair, EACCES},
    Refusal{"pidfd_open", SYS_pidfd_open, ENOSYS},
    Refusal{"fork", SYS_clone, EAGAIN},
    Refusal{"sendmsg", SYS_sendmsg, EPERM},
};

INSTANTIATE_TEST_SUITE_P(Calls, RefusalTest, ::testing::ValuesIn(kRefusals),
                         [](const auto& refusal) { return std::string(refusal.param.name); });

// Row 182: shm-absent. The fork that this runs in compares its footprint.
TEST_P(RefusalTest, IsAnErrorOfTheConstructorThatLeavesNothingBehind) {
  in_fork([] {
    refuse(GetParam().number, GetParam().error);
    for (int attempt = 0; attempt < 3; ++attempt) {
      try {
        const Pool pool(4);
        ADD_FAILURE() << "the pool was made";
      } catch (const SystemError& error) {
        EXPECT_EQ(error.error_number(), GetParam().error);
        EXPECT_THAT(error.what(), HasSubstr(std::generic_category().message(GetParam().error)));
      }
    }
  });
}

TEST_F(ScarcityTest, APoolCanDoWithoutTheNewestSystemCalls) {
  for (const long number : {SYS_close_range, SYS_clone3, SYS_openat2, SYS_statx}) {
    in_fork([number] {
      refuse(number, ENOSYS);
      Pool pool(2);
      EXPECT_THAT(pool.map(same, test::numbers(0, 100)), SizeIs(100));
      EXPECT_THROW((void)pool.apply(test::segfaults, 0), CrashError);
      EXPECT_EQ(pool.apply(same, 4), 4);
    });
  }
}

// ---------------------------------------------------------------------------------------------
// Descriptors.

/// Uses up all descriptors but `left`, until it is destroyed.
class FewDescriptors {
 public:
  explicit FewDescriptors(std::size_t left) {
    ::getrlimit(RLIMIT_NOFILE, &before_);
    const rlimit few{100, before_.rlim_max};
    ::setrlimit(RLIMIT_NOFILE, &few);
    for (int fd = ::dup(0); fd >= 0; fd = ::dup(0)) fillers_.push_back(fd);
    for (; left != 0 && !fillers_.empty(); --left) {
      ::close(fillers_.back());
      fillers_.pop_back();
    }
  }
  FewDescriptors(const FewDescriptors&) = delete;
  FewDescriptors& operator=(const FewDescriptors&) = delete;
  ~FewDescriptors() {
    for (const int fd : fillers_) ::close(fd);
    ::setrlimit(RLIMIT_NOFILE, &before_);
  }

 private:
  rlimit before_{};
  std::vector<int> fillers_;
};

// Row 179: fds-out-start. For each number of descriptors that are left: a pool, or an error.
TEST_F(ScarcityTest, ForWantOfDescriptorsThereIsAPoolOrAnErrorThatLeavesNothingBehind) {
  if (test::vptr_sanitizer()) GTEST_SKIP() << "the vptr sanitizer needs descriptors itself";
  int pools = 0;
  int refusals = 0;
  for (std::size_t left = 0; left < 16; ++left) {
    const FewDescriptors few(left);
    try {
      Pool pool(16);
      EXPECT_THAT(pool.map(same, test::numbers(0, 100)), SizeIs(100));
      ++pools;
    } catch (const SystemError& error) {
      EXPECT_EQ(error.error_number(), EMFILE) << error.what();
      ++refusals;
    }
  }
  EXPECT_GT(pools, 0);
  EXPECT_GT(refusals, 0);
}

// Row 180: fds-out-running.
TEST_F(ScarcityTest, ACallGoesOnThoughTheHostHasUsedUpAllDescriptors) {
  if (test::vptr_sanitizer()) GTEST_SKIP() << "the vptr sanitizer needs descriptors itself";
  in_fork([] {
    Pool pool(3);
    EXPECT_EQ(pool.apply(same, 1), 1);
    rlimit limit{};
    ::getrlimit(RLIMIT_NOFILE, &limit);
    const rlimit none{0, limit.rlim_max};
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
    EXPECT_THAT(pool.map(same, test::numbers(0, 10'000)), SizeIs(10'000));
    // A successor cannot be had for now: the others do its work.
    EXPECT_THROW((void)pool.apply(test::kills_itself, 0), CrashError);
    EXPECT_THAT(pool.map(same, test::numbers(0, 10'000)), SizeIs(10'000));
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &limit), 0);
    EXPECT_TRUE(test::eventually([&pool] {
      EXPECT_EQ(pool.apply(same, 2), 2);
      return test::workers_of(pool).size() == 3;
    })) << "the missing worker was not replaced later";
  });
}

// ---------------------------------------------------------------------------------------------
// Processes.

void become_another_user() {
  // Limits count all processes of a user: each test has one of its own.
  const auto nobody_else = kNobodyElse + static_cast<uid_t>(::getpid());
  ASSERT_EQ(::setgid(nobody_else), 0);
  ASSERT_EQ(::setuid(nobody_else), 0);
  // Else /proc/self would be root's.
  ASSERT_EQ(::prctl(PR_SET_DUMPABLE, 1), 0);
}

bool is_root() {
  return ::getuid() == 0;
}

// Row 178: fork-eagain-start. The host, the zygote and some of the workers.
TEST_F(ScarcityTest, ForWantOfProcessesTheConstructorFailsAndLeavesNothingBehind) {
  if (!is_root()) GTEST_SKIP() << "only root can become a user without processes";
  for (const rlim_t processes : {1U, 2U, 3U, 5U, 9U}) {
    in_fork([processes] {
      become_another_user();
      set_limit(RLIMIT_NPROC, processes);
      try {
        const Pool pool(8);
        ADD_FAILURE() << "eight workers and a zygote were forked";
      } catch (const SystemError& error) {
        EXPECT_EQ(error.error_number(), EAGAIN);
        EXPECT_THAT(error.what(), HasSubstr("fork"));
      }
    });
  }
  in_fork([] {
    become_another_user();
    // ThreadSanitizer has a thread of its own in each process.
    set_limit(RLIMIT_NPROC, test::kThreadSanitizer ? 20 : 10);
    Pool pool(8);
    EXPECT_THAT(pool.map(same, test::numbers(0, 100)), SizeIs(100));
  });
}

void limit_processes_of(pid_t pid, rlim_t soft) {
  const rlimit limit{soft, 100};
  ASSERT_EQ(::prlimit(pid, RLIMIT_NPROC, &limit, nullptr), 0);
}

// Row 127: respawn-fork-fails.
TEST_F(ScarcityTest, IfASuccessorCannotBeForkedThePoolGoesOnWithFewerAndTriesAgain) {
  if (!is_root()) GTEST_SKIP() << "only root can become a user without processes";
  in_fork([] {
    become_another_user();
    set_limit(RLIMIT_NPROC, 100);
    Pool pool(2);
    const pid_t zygote = test::zygote_of(pool);
    limit_processes_of(zygote, 1);
    // A spare worker may have been there already; it takes the place of the first that dies.
    const auto one_is_left = [zygote] { return test::children_of(zygote).size() == 1; };
    for (int death = 0; death < 2; ++death) {
      EXPECT_THROW((void)pool.apply(test::kills_itself, 0), CrashError);
      if (test::eventually(one_is_left, std::chrono::milliseconds{500})) break;
    }
    for (int round = 0; round < 20; ++round) {
      EXPECT_THAT(pool.map(same, test::numbers(0, 100)), SizeIs(100));
    }
    EXPECT_THAT(test::workers_of(pool), SizeIs(1));
    limit_processes_of(zygote, 100);
    EXPECT_TRUE(test::eventually([&pool] {
      EXPECT_EQ(pool.apply(same, 2), 2);
      return test::workers_of(pool).size() == 2;
    })) << "the missing worker was not replaced later";
  });
}

TEST_F(ScarcityTest, IfNoSuccessorCanBeForkedForLongThePoolIsBrokenAndSaysWhy) {
  if (!is_root()) GTEST_SKIP() << "only root can become a user without processes";
  in_fork([] {
    become_another_user();
    set_limit(RLIMIT_NPROC, 100);
    Pool pool(1);
    limit_processes_of(test::zygote_of(pool), 1);
    // A spare worker may have been there already; then the second death is the one too many.
    const auto kill_two = [](int x) { return x == 1 || x == 2 ? test::kills_itself(x) : x; };
    const auto outcomes = pool.try_map(kill_two, test::numbers(0, 4));
    ASSERT_THAT(outcomes, SizeIs(4));
    EXPECT_EQ(outcomes[0].value_or(-1), 0);
    EXPECT_EQ(outcomes[1].failure().kind(), FailureKind::crashed);
    ASSERT_FALSE(outcomes[2]);
    ASSERT_FALSE(outcomes[3]);
    EXPECT_EQ(outcomes[3].failure().kind(), FailureKind::not_run);
    EXPECT_THAT(outcomes[3].failure().what(), HasSubstr(std::generic_category().message(EAGAIN)));
    EXPECT_THROW((void)pool.apply(same, 1), BrokenPool);
  });
}

/// What a logger is told, counted.
class CountingSink : public spdlog::sinks::base_sink<std::mutex> {
 public:
  test::Tally messages;

 private:
  void sink_it_(const spdlog::details::log_msg&) override { messages.add(); }
  void flush_() override {}
};

// Row 126: restart-stuck-shutdown. The pool has no worker, and waits before it tries again.
TEST_F(ScarcityTest, IfNoSuccessorCanBeForkedThePoolIsTerminatedAtOnce) {
  if (!is_root()) GTEST_SKIP() << "only root can become a user without processes";
  in_fork([] {
    become_another_user();
    set_limit(RLIMIT_NPROC, 100);
    const auto sink = std::make_shared<CountingSink>();
    Pool pool(Options{.workers = 1, .logger = std::make_shared<spdlog::logger>("pool", sink)});
    limit_processes_of(test::zygote_of(pool), 1);
    std::thread caller([&pool] {
      // A spare worker may have been there already; then the second death is the one too many.
      const auto kill_two = [](int x) { return x < 2 ? test::kills_itself(x) : x; };
      const auto outcomes = pool.try_map(kill_two, test::numbers(0, 4));
      EXPECT_EQ(outcomes.at(3).failure().kind(), FailureKind::cancelled);
    });
    // Two deaths at the most, and then refusals.
    EXPECT_TRUE(sink->messages.reaches(4));
    const auto begin = std::chrono::steady_clock::now();
    pool.terminate();
    caller.join();
    EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds{10});
  });
}

}  // namespace
}  // namespace bulkhead
