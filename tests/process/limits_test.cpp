// SPDX-License-Identifier: MIT
//
// What a worker may use of the machine.
#include "tests/support/numbers.hpp"
#include "tests/support/process.hpp"
#include "tests/support/sanitizer.hpp"
#include <bulkhead/pool.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <new>
#include <string>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <system_error>
#include <unistd.h>
#include <utility>
#include <vector>

#include <gmock/gmock.h>

namespace bulkhead {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;
using LimitsTest = test::ProcessTest;

constexpr std::uint64_t kMiB = 1 << 20;

int same(int x) {
  return x;
}

/// Has so many MiB for a moment, and says how many.
int use(int mebibytes) {
  const std::vector<std::byte> memory(static_cast<std::size_t>(mebibytes) * kMiB);
  return static_cast<int>(memory.size() / kMiB);
}

TEST_F(LimitsTest, AWorkerThatKeepsTheMemoryItRanOutOfIsReplaced) {
  if (test::kSanitized) GTEST_SKIP() << "sanitizers need memory of their own";
  Pool pool(Options{.workers = 1, .limits = {.memory = 64 * kMiB}});
  const auto hoard = [](int x) {
    static std::vector<std::string> hoarded;
    while (x == 5) hoarded.emplace_back(100'000, 'x');
    return use(8);
  };
  const pid_t before = pool.apply(::getpid);
  EXPECT_THROW((void)pool.apply(hoard, 5), OutOfMemoryError);
  EXPECT_EQ(pool.map(hoard, test::numbers(10, 20)), std::vector<int>(10, 8));
  const pid_t after = pool.apply(::getpid);
  EXPECT_NE(after, before);
  EXPECT_THROW((void)pool.apply(use, 200), OutOfMemoryError);
  EXPECT_EQ(pool.apply(::getpid), after) << "it has kept nothing";
}

TEST_F(LimitsTest, ATaskThatWantsMoreMemoryThanItsWorkerMayHaveFailsAlone) {
  if (test::kSanitized) GTEST_SKIP() << "sanitizers need memory of their own";
  Pool pool(Options{.workers = 2, .limits = {.memory = 64 * kMiB}});
  const auto outcomes = pool.try_map(use, {1, 200, 20, 300, 2});
  for (const std::size_t task : {0U, 2U, 4U}) EXPECT_TRUE(outcomes.at(task));
  for (const std::size_t task : {1U, 3U}) {
    ASSERT_FALSE(outcomes.at(task));
    const Failure& failure = outcomes[task].failure();
    EXPECT_EQ(failure.kind(), FailureKind::out_of_memory);
    EXPECT_EQ(failure.task(), task);
    EXPECT_THAT(failure.what(), HasSubstr("ran out of memory"));
    EXPECT_THAT(failure.what(), HasSubstr("64 MiB"));
  }
  EXPECT_THROW((void)pool.map(use, {200}), OutOfMemoryError);
  EXPECT_THROW((void)pool.map(use, {200}), std::bad_alloc);
  EXPECT_EQ(pool.apply(same, 4), 4);
}

TEST_F(LimitsTest, TheMemoryOfTheHostIsNotCounted) {
  if (test::kSanitized) GTEST_SKIP() << "sanitizers need memory of their own";
  const std::vector<std::byte> of_the_host(200 * kMiB);
  Pool pool(Options{.workers = 1, .limits = {.memory = 64 * kMiB}});
  EXPECT_EQ(pool.apply(use, 30), 30);
  EXPECT_FALSE(pool.try_map(use, {100}).at(0));
}

// Without a limit nothing is known but that the system refused.
TEST_F(LimitsTest, WithoutALimitAFailedAllocationIsAnException) {
  Pool pool(1);
  const auto outcomes = pool.try_map([](int) { throw std::bad_alloc(); }, {1});
  ASSERT_FALSE(outcomes.at(0));
  EXPECT_EQ(outcomes[0].failure().kind(), FailureKind::exception);
}

TEST_F(LimitsTest, AFailureForWantOfMemoryHasABudgetOfItsOwn) {
  if (test::kSanitized) GTEST_SKIP() << "sanitizers need memory of their own";
  Pool pool(Options{.workers = 1, .limits = {.memory = 64 * kMiB}});
  const auto outcomes =
      pool.try_map(use, {200}, CallOptions{.retries = {.exceptions = 5, .out_of_memory = 2}});
  ASSERT_FALSE(outcomes.at(0));
  EXPECT_EQ(outcomes[0].failure().attempt(), 3);
}

TEST_F(LimitsTest, AWorkerThatHasUsedUpItsTimeOnTheCpuEndsAndIsReplaced) {
  if (test::kThreadSanitizer) GTEST_SKIP() << "signals wait for a call that it never makes";
  Pool pool(Options{.workers = 1, .limits = {.cpu_time = 1s}});
  const auto spin = [](int x) {
    for (volatile unsigned turn = 0;;) turn = turn + 1;
    return x;
  };
  const auto outcomes = pool.try_map(spin, {1});
  ASSERT_FALSE(outcomes.at(0));
  EXPECT_EQ(outcomes[0].failure().kind(), FailureKind::crashed);
  EXPECT_EQ(outcomes[0].failure().signal(), SIGXCPU);
  EXPECT_THAT(outcomes[0].failure().what(), HasSubstr("the limit of its CPU time is 1 s"));
  EXPECT_EQ(pool.apply(same, 4), 4);
}

TEST_F(LimitsTest, ATaskThatWritesTooLargeAFileFailsAlone) {
  Pool pool(Options{.workers = 1, .limits = {.file_size = kMiB}});
  const auto write_file = [](int mebibytes) {
    std::FILE* file = std::tmpfile();
    const std::vector<std::byte> bytes(static_cast<std::size_t>(mebibytes) * kMiB);
    const std::size_t written = std::fwrite(bytes.data(), 1, bytes.size(), file);
    std::fclose(file);
    return written;
  };
  const auto outcomes = pool.try_map(write_file, {1, 2, 1});
  EXPECT_EQ(outcomes.at(0).value_or(0), kMiB);
  ASSERT_FALSE(outcomes.at(1));
  EXPECT_EQ(outcomes[1].failure().signal(), SIGXFSZ);
  EXPECT_THAT(outcomes[1].failure().what(), HasSubstr("the limit of a file is 1048576 bytes"));
  EXPECT_EQ(outcomes.at(2).value_or(0), kMiB);
}

TEST_F(LimitsTest, ATaskThatOpensTooManyFilesIsRefused) {
  Pool pool(Options{.workers = 1, .limits = {.open_files = 50}});
  const auto open_all = [](int) {
    std::vector<int> opened;
    for (int fd = 0; (fd = ::open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0;) opened.push_back(fd);
    const int highest = opened.back();
    for (const int fd : opened) ::close(fd);
    return highest;
  };
  EXPECT_EQ(pool.map(open_all, {1, 2}), (std::vector{49, 49}));
}

/// Soft and hard.
std::pair<rlim_t, rlim_t> limit_of(int resource) {
  rlimit limit{};
  ::getrlimit(static_cast<__rlimit_resource>(resource), &limit);
  return {limit.rlim_cur, limit.rlim_max};
}

// Row 186: a crash does not write a core dump for half a minute.
TEST_F(LimitsTest, OfProcessesAndCoreDumpsAreSetForGood) {
  Pool pool(Options{.workers = 1, .limits = {.processes = 500}});
  EXPECT_EQ(pool.apply(limit_of, static_cast<int>(RLIMIT_NPROC)),
            (std::pair<rlim_t, rlim_t>{500, 500}));
  EXPECT_EQ(pool.apply(limit_of, static_cast<int>(RLIMIT_CORE)), (std::pair<rlim_t, rlim_t>{0, 0}));
  Pool dumping(Options{.workers = 1, .limits = {.core_dumps = true}});
  EXPECT_EQ(dumping.apply(limit_of, static_cast<int>(RLIMIT_CORE)), limit_of(RLIMIT_CORE));
}

TEST_F(LimitsTest, NewPrivilegesAreRefusedIfAskedFor) {
  const auto no_new = [] { return ::prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0); };
  EXPECT_EQ(Pool(1).apply(no_new), 0);
  Pool pool(Options{.workers = 1, .limits = {.no_new_privileges = true}});
  EXPECT_EQ(pool.apply(no_new), 1);
}

TEST_F(LimitsTest, HoldForTheReplacementOfAWorkerToo) {
  Pool pool(Options{.workers = 1, .limits = {.open_files = 60}});
  for (int round = 0; round < 3; ++round) {
    EXPECT_EQ(pool.apply(limit_of, static_cast<int>(RLIMIT_NOFILE)).first, 60U);
    EXPECT_THROW((void)pool.apply([] { ::_exit(1); }), CrashError);
  }
}

TEST_F(LimitsTest, OfNothingAreRefusedByName) {
  const auto refusal_of = [](const Limits& limits) {
    try {
      Pool pool(Options{.workers = 1, .limits = limits});
    } catch (const InvalidArgument& error) {
      return std::string(error.what());
    }
    return std::string("accepted");
  };
  EXPECT_THAT(refusal_of({.memory = 0}), HasSubstr("Limits::memory"));
  EXPECT_THAT(refusal_of({.memory = 4096}), HasSubstr("Limits::memory is 4096"));
  EXPECT_THAT(refusal_of({.oom_score_adj = 1001}), HasSubstr("Limits::oom_score_adj is 1001"));
  EXPECT_THAT(refusal_of({.open_files = 3}), HasSubstr("Limits::open_files is 3"));
  EXPECT_THAT(refusal_of({.cpu_time = -1s}), HasSubstr("Limits::cpu_time"));
  EXPECT_THAT(refusal_of({.open_files = 0}), HasSubstr("Limits::open_files"));
}

TEST_F(LimitsTest, TheSmallestSufficeForAWorker) {
  Pool pool(Options{.workers = 1,
                    .initializer = [] {},
                    .limits = {.memory = kMiB,
                               .cpu_time = 1s,
                               .file_size = 1,
                               .open_files = 16,
                               .processes = 1,
                               .no_new_privileges = true}});
  EXPECT_EQ(pool.map(same, {1, 2, 3}), (std::vector{1, 2, 3}));
  EXPECT_THROW((void)pool.apply([] { std::abort(); }), CrashError);
  EXPECT_EQ(pool.apply(same, 4), 4);
}

int oom_score_adj() {
  int score = 0;
  std::ifstream("/proc/self/oom_score_adj") >> score;
  return score;
}

// Row 185.
TEST_F(LimitsTest, AWorkerIsEndedForWantOfMemoryBeforeItsHostIs) {
  EXPECT_GT(Pool(1).apply(oom_score_adj), oom_score_adj());
  Pool pool(Options{.workers = 1, .limits = {.oom_score_adj = 700}});
  EXPECT_EQ(pool.apply(oom_score_adj), 700);
}

TEST_F(LimitsTest, BeyondThoseOfTheHostAreThoseOfTheHost) {
  Pool pool(Options{.workers = 1, .limits = {.open_files = std::uint64_t{1} << 40}});
  const auto most = limit_of(RLIMIT_NOFILE).second;
  EXPECT_EQ(pool.apply(limit_of, static_cast<int>(RLIMIT_NOFILE)), std::pair(most, most));
}

TEST_F(LimitsTest, OneThatTheSystemRefusesIsNamedByTheFirstCall) {
  test::in_fork([] {
    const uid_t nobody_else = 1'000'000;
    ASSERT_EQ(::setuid(nobody_else), 0);
    Pool pool(Options{.workers = 1, .limits = {.oom_score_adj = -500}});
    try {
      (void)pool.apply(same, 1);
      ADD_FAILURE() << "the limit was accepted";
    } catch (const BrokenPool& error) {
      EXPECT_THAT(error.what(), HasSubstr("cannot set Limits::oom_score_adj to -500"));
      EXPECT_THAT(error.what(), HasSubstr("Permission denied"));
    }
  });
}

std::string refusal_of_cgroup(const std::string& folder) {
  try {
    Pool pool(Options{.workers = 1, .limits = {.memory = 64 * kMiB, .cgroup = folder}});
  } catch (const Error& error) {
    return error.what();
  }
  return "accepted";
}

TEST_F(LimitsTest, AFolderThatIsNoCgroupIsRefusedByName) {
  EXPECT_THAT(refusal_of_cgroup("/tmp"), HasSubstr("Limits::cgroup is /tmp; it must be a folder"));
  EXPECT_THAT(refusal_of_cgroup("/nowhere"),
              HasSubstr("Limits::cgroup is /nowhere, where nothing can be found"));
}

/// A cgroup of this test's own, with the memory controller; nothing where the machine does not let
/// us have one.
class OwnCgroup {
 public:
  OwnCgroup() {
    std::ifstream own("/proc/self/cgroup");
    for (std::string line; std::getline(own, line);) {
      if (!line.starts_with("0::")) continue;
      const std::string folder = "/sys/fs/cgroup" + line.substr(3) + "/bulkhead-test";
      if (std::filesystem::create_directory(folder, ignored_)) folder_ = folder;
    }
    std::ifstream controllers(folder_ + "/cgroup.controllers");
    for (std::string name; controllers >> name;) usable_ |= name == "memory";
  }
  ~OwnCgroup() {
    if (!folder_.empty()) std::filesystem::remove(folder_, ignored_);
  }
  OwnCgroup(const OwnCgroup&) = delete;
  OwnCgroup& operator=(const OwnCgroup&) = delete;

  [[nodiscard]] bool usable() const { return usable_; }
  [[nodiscard]] const std::string& folder() const { return folder_; }
  /// Cgroups below it.
  [[nodiscard]] std::size_t children() const {
    std::size_t count = 0;
    for (const auto& entry : std::filesystem::directory_iterator(folder_)) {
      count += entry.is_directory() ? 1 : 0;
    }
    return count;
  }

 private:
  std::error_code ignored_;
  std::string folder_;
  bool usable_ = false;
};

TEST_F(LimitsTest, MoreMemoryThanThereIsIsNoLimit) {
  Pool pool(Options{.workers = 1, .limits = {.memory = ~std::uint64_t{0}}});
  EXPECT_EQ(pool.apply(same, 4), 4);
  EXPECT_TRUE(pool.try_map(use, {20}).at(0));
}

// Row 183.
TEST_F(LimitsTest, AWorkerThatTheKernelKillsForWantOfMemoryInItsCgroupIsNamedAsSuch) {
  const OwnCgroup own;
  if (!own.usable()) GTEST_SKIP() << "there is no cgroup of version 2 with a memory controller";
  {
    Pool pool(Options{.workers = 2, .limits = {.memory = 64 * kMiB, .cgroup = own.folder()}});
    const auto outcomes = pool.try_map(use, {1, 200, 20, 300, 2});
    for (const std::size_t task : {0U, 2U, 4U}) EXPECT_TRUE(outcomes.at(task));
    for (const std::size_t task : {1U, 3U}) {
      ASSERT_FALSE(outcomes.at(task));
      EXPECT_EQ(outcomes[task].failure().kind(), FailureKind::out_of_memory);
      EXPECT_THAT(outcomes[task].failure().what(), HasSubstr("the limit is 64 MiB"));
    }
    EXPECT_EQ(pool.apply(same, 4), 4);
  }
  EXPECT_EQ(own.children(), 0U);
}

}  // namespace
}  // namespace bulkhead
