// SPDX-License-Identifier: MIT
//
// Hosts of all kinds: whatever a process has done to itself before it makes a pool, the pool works.
#include "tests/support/process.hpp"
#include "tests/support/sanitizer.hpp"
#include <bulkhead/pool.hpp>

#include <array>
#include <cfenv>
#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <locale>
#include <ostream>
#include <sched.h>
#include <string>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>
#include <vector>

#include <gmock/gmock.h>

namespace bulkhead {
namespace {

// ---------------------------------------------------------------------------------------------
// Signals.

void blocks_all_signals() {
  sigset_t all;
  ::sigfillset(&all);
  ASSERT_EQ(::pthread_sigmask(SIG_BLOCK, &all, nullptr), 0);
}

void dispose_of_all_signals(const struct sigaction& action) {
  for (int signal = 1; signal < NSIG; ++signal) {
    if (signal != SIGKILL && signal != SIGSTOP) ::sigaction(signal, &action, nullptr);
  }
}

void ignores_all_signals() {
  struct sigaction action {};
  action.sa_handler = SIG_IGN;
  dispose_of_all_signals(action);
}

/// A handler for every signal, of which one comes all the time.
void handles_all_signals(int flags) {
  struct sigaction action {};
  action.sa_handler = [](int signal) {
    if (signal == SIGSEGV) ::_exit(99);
  };
  action.sa_flags = flags;
  dispose_of_all_signals(action);
  const itimerval often{{0, 700}, {0, 700}};
  ASSERT_EQ(::setitimer(ITIMER_REAL, &often, nullptr), 0);
}

void is_interrupted_by_signals() {
  handles_all_signals(0);
}

void restarts_after_signals() {
  handles_all_signals(SA_RESTART | SA_NODEFER);
}

void wants_no_zombies() {
  struct sigaction action {};
  action.sa_handler = SIG_DFL;
  action.sa_flags = SA_NOCLDWAIT;
  ASSERT_EQ(::sigaction(SIGCHLD, &action, nullptr), 0);
}

/// On a stack of its own, once.
void handles_its_own_crashes() {
  static std::array<char, 1 << 16> memory;
  stack_t stack{};
  stack.ss_sp = memory.data();
  stack.ss_size = memory.size();
  ASSERT_EQ(::sigaltstack(&stack, nullptr), 0);
  struct sigaction action {};
  action.sa_handler = [](int) { ::_exit(99); };
  action.sa_flags = static_cast<int>(SA_ONSTACK | SA_RESETHAND);
  for (const int signal : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT}) {
    ASSERT_EQ(::sigaction(signal, &action, nullptr), 0);
  }
}

// ---------------------------------------------------------------------------------------------
// Limits and rights.

void set_soft_limit(__rlimit_resource resource, rlim_t soft) {
  rlimit limit{};
  ASSERT_EQ(::getrlimit(resource, &limit), 0);
  limit.rlim_cur = soft;
  ASSERT_EQ(::setrlimit(resource, &limit), 0);
}

void runs_on_one_cpu() {
  cpu_set_t set;
  ASSERT_EQ(::sched_getaffinity(0, sizeof set, &set), 0);
  int cpu = 0;
  while (!CPU_ISSET(cpu, &set)) ++cpu;
  CPU_ZERO(&set);
  CPU_SET(cpu, &set);
  ASSERT_EQ(::sched_setaffinity(0, sizeof set, &set), 0);
}

void is_the_least_important() {
  const sched_param none{};
  ASSERT_EQ(::sched_setscheduler(0, SCHED_BATCH, &none), 0);
  ASSERT_NE(::nice(19), -1);
}

void has_an_unlimited_stack() {
  set_soft_limit(RLIMIT_STACK, RLIM_INFINITY);
}

void has_a_small_stack() {
  set_soft_limit(RLIMIT_STACK, 128 << 10);
}

/// All low numbers are taken.
void has_high_descriptors() {
  set_soft_limit(RLIMIT_NOFILE, 4200);
  for (int fd = 0; fd < 4000;) fd = ::fcntl(0, F_DUPFD_CLOEXEC, 3);
}

void has_few_descriptors() {
  set_soft_limit(RLIMIT_NOFILE, 24);
}

void has_descriptors_above_its_limit() {
  ASSERT_EQ(::fcntl(0, F_DUPFD_CLOEXEC, 900), 900);
  set_soft_limit(RLIMIT_NOFILE, 40);
}

void may_not_be_dumped() {
  ASSERT_EQ(::prctl(PR_SET_DUMPABLE, 0), 0);
}

void may_not_gain_privileges() {
  ASSERT_EQ(::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
}

void drop_privileges() {
  ASSERT_EQ(::setgid(54'322), 0);
  ASSERT_EQ(::setuid(54'322), 0);
}

void has_dropped_its_privileges() {
  if (::getuid() != 0) return;  // it has none
  drop_privileges();
  ASSERT_EQ(::prctl(PR_SET_DUMPABLE, 1), 0);
}

void locks_its_memory() {
  if (::getuid() == 0 && !test::kSanitized) {
    ASSERT_EQ(::mlockall(MCL_CURRENT | MCL_FUTURE), 0);
  }
}

// ---------------------------------------------------------------------------------------------
// Surroundings.

void lets_nobody_read_its_files() {
  ::umask(0777);
}

void has_lost_its_folder() {
  std::array<char, 32> folder{"/tmp/bulkhead-test-XXXXXX"};
  ASSERT_NE(::mkdtemp(folder.data()), nullptr);
  ASSERT_EQ(::chdir(folder.data()), 0);
  ASSERT_EQ(::rmdir(folder.data()), 0);
}

void has_no_environment() {
  ASSERT_EQ(::clearenv(), 0);
}

/// 1.234,5
struct Grouping : std::numpunct<char> {
  [[nodiscard]] char do_decimal_point() const override { return ','; }
  [[nodiscard]] char do_thousands_sep() const override { return '.'; }
  [[nodiscard]] std::string do_grouping() const override { return "\1"; }
};

void writes_numbers_its_own_way() {
  std::locale::global(std::locale(std::locale::classic(), new Grouping));
}

void traps_floating_point_errors() {
  ASSERT_NE(::feenableexcept(FE_DIVBYZERO | FE_INVALID | FE_OVERFLOW), -1);
}

// ---------------------------------------------------------------------------------------------

struct Kind {
  const char* name;
  void (*prepare)();
};

void PrintTo(const Kind& kind, std::ostream* out) {
  *out << kind.name;
}

using PrivilegedHostTest = test::ProcessTest;

class HostKindTest : public test::ProcessTest, public ::testing::WithParamInterface<Kind> {};

constexpr std::array kKinds{
    Kind{"BlocksAllSignals", blocks_all_signals},
    Kind{"IgnoresAllSignals", ignores_all_signals},
    Kind{"IsInterruptedBySignals", is_interrupted_by_signals},
    Kind{"RestartsAfterSignals", restarts_after_signals},
    Kind{"WantsNoZombies", wants_no_zombies},
    Kind{"HandlesItsOwnCrashes", handles_its_own_crashes},
    Kind{"RunsOnOneCpu", runs_on_one_cpu},
    Kind{"IsTheLeastImportant", is_the_least_important},
    Kind{"HasAnUnlimitedStack", has_an_unlimited_stack},
    Kind{"HasASmallStack", has_a_small_stack},
    Kind{"HasHighDescriptors", has_high_descriptors},
    Kind{"HasFewDescriptors", has_few_descriptors},
    Kind{"HasDescriptorsAboveItsLimit", has_descriptors_above_its_limit},
    Kind{"MayNotBeDumped", may_not_be_dumped},
    Kind{"MayNotGainPrivileges", may_not_gain_privileges},
    Kind{"HasDroppedItsPrivileges", has_dropped_its_privileges},
    Kind{"LocksItsMemory", locks_its_memory},
    Kind{"LetsNobodyReadItsFiles", lets_nobody_read_its_files},
    Kind{"HasLostItsFolder", has_lost_its_folder},
    Kind{"HasNoEnvironment", has_no_environment},
    Kind{"WritesNumbersItsOwnWay", writes_numbers_its_own_way},
    Kind{"TrapsFloatingPointErrors", traps_floating_point_errors},
};

INSTANTIATE_TEST_SUITE_P(Kinds, HostKindTest, ::testing::ValuesIn(kKinds),
                         [](const auto& kind) { return std::string(kind.param.name); });

TEST_P(HostKindTest, IsServedAsAnyOther) {
  test::Fork host([] {
    GetParam().prepare();
    const test::Footprint before = test::Footprint::now();
    test::expect_everything_works();
    test::expect_unchanged(before);
  });
  EXPECT_EQ(host.wait(), 0);
}

// The kernel does not let workers open what such a process has open.
TEST_F(PrivilegedHostTest, ThatHasDroppedItsPrivilegesIsToldHowToHaveBroadcasts) {
  if (::getuid() != 0) GTEST_SKIP() << "only root has privileges to drop";
  test::Fork host([] {
    drop_privileges();
    Pool pool(2);
    test::expect_usable(pool);
    test::expect_no_broadcasts(pool, "PR_SET_DUMPABLE");
    test::expect_usable(pool);
  });
  EXPECT_EQ(host.wait(), 0);
}

}  // namespace
}  // namespace bulkhead
