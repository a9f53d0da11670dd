// SPDX-License-Identifier: MIT
//
// Options that make no sense, and those that do.
#include "tests/support/numbers.hpp"
#include "tests/support/process.hpp"
#include "tests/support/sanitizer.hpp"
#include "tests/support/start.hpp"
#include <bulkhead/pool.hpp>

#include <chrono>
#include <climits>
#include <cstddef>
#include <memory>
#include <sched.h>
#include <set>
#include <sstream>
#include <string>
#include <thread>
#include <unistd.h>
#include <vector>

#include <gmock/gmock.h>
#include <spdlog/logger.h>
#include <spdlog/sinks/ostream_sink.h>

namespace bulkhead {
namespace {

using test::workers_of;
using ::testing::Each;
using ::testing::HasSubstr;
using ::testing::SizeIs;
using OptionsTest = test::ProcessTest;

int same(int x) {
  return x;
}

template <class E>
std::string refusal_of(const Options& options) {
  const std::set<int> children = test::children_of(::getpid());
  try {
    const Pool pool(options);
  } catch (const E& error) {
    EXPECT_EQ(test::children_of(::getpid()), children) << "something was forked";
    return error.what();
  }
  ADD_FAILURE() << "the options were accepted";
  return "";
}

// Row 6: bad-nworkers.
TEST_F(OptionsTest, ImpossibleNumbersOfWorkersAreRefusedWithTheValue) {
  for (const int workers : {0, -1, 1025, 1'000'000, INT_MAX, INT_MIN}) {
    const std::string text = refusal_of<InvalidArgument>({.workers = workers});
    EXPECT_THAT(text, HasSubstr("workers"));
    EXPECT_THAT(text, HasSubstr(std::to_string(workers)));
    EXPECT_THAT(text, HasSubstr("between 1 and 1024"));
  }
  EXPECT_THROW(Pool(0), InvalidArgument);
  EXPECT_THROW(Pool(-3), Error);
}

TEST_F(OptionsTest, ImpossibleRingsAreRefusedWithTheValue) {
  for (const std::size_t ring :
       {std::size_t{0}, std::size_t{4095}, (std::size_t{1} << 30) + 1, ~std::size_t{0}}) {
    EXPECT_THAT(refusal_of<InvalidArgument>({.workers = 1, .ring_bytes = ring}),
                HasSubstr(std::to_string(ring)));
  }
}

TEST_F(OptionsTest, RingsNeedNotBePowersOfTwo) {
  for (const std::size_t ring : {4096U, 4097U, 100'000U}) {
    Pool pool(Options{.workers = 1, .ring_bytes = ring});
    EXPECT_EQ(pool.apply([](std::string text) { return text; }, std::string(50'000, 't')).size(),
              50'000U);
  }
}

TEST_F(OptionsTest, ByDefaultThereIsOneWorkerForEachCpuThatMayBeUsed) {
  test::in_fork([] {
    cpu_set_t all;
    ASSERT_EQ(::sched_getaffinity(0, sizeof all, &all), 0);
    EXPECT_LE(Pool().workers(), CPU_COUNT(&all));
    cpu_set_t one;
    CPU_ZERO(&one);
    int cpu = 0;
    while (!CPU_ISSET(cpu, &all)) ++cpu;
    CPU_SET(cpu, &one);
    ASSERT_EQ(::sched_setaffinity(0, sizeof one, &one), 0);
    EXPECT_EQ(Pool().workers(), 1);
  });
}

// Row 176: host-threads-first.
TEST_F(OptionsTest, AProcessWithOtherThreadsIsRefusedAndToldWhatToDo) {
  BULKHEAD_FORK_ONLY("others fork no process with threads");
  const test::Shared<test::Tally> gate;
  std::thread other([&gate] {
    gate->add();
    EXPECT_TRUE(gate->reaches(2));
  });
  ASSERT_TRUE(gate->reaches(1)) << "a thread that starts may hold locks";
  const std::string text = refusal_of<Error>({.workers = 1});
  EXPECT_THAT(text, HasSubstr("2 threads"));
  EXPECT_THAT(text, HasSubstr("before starting threads"));
  EXPECT_THAT(text, HasSubstr("risk_locks_held_by_other_threads"));
  Pool pool(Options{.workers = 1, .risk_locks_held_by_other_threads = true});
  EXPECT_EQ(pool.apply(same, 3), 3);
  gate->add();
  other.join();
  EXPECT_EQ(pool.apply(same, 4), 4);
}

// The kernel counts a thread for a moment longer than pthread_join(3) waits for it.
TEST_F(OptionsTest, ThreadsThatWereJoinedDoNotCount) {
  for (int round = 0; round < 100; ++round) {
    std::thread([] {}).join();
    Pool pool(1);
    ASSERT_EQ(pool.apply(same, round), round);
  }
}

TEST_F(OptionsTest, TheLoggerLearnsWhatHappensToWorkers) {
  std::ostringstream text;
  {
    const auto sink = std::make_shared<spdlog::sinks::ostream_sink_st>(text);
    const auto logger = std::make_shared<spdlog::logger>("pool", sink);
    logger->set_level(spdlog::level::debug);
    Pool pool(Options{.workers = 1, .logger = logger});
    EXPECT_THROW((void)pool.apply([](int) { ::_exit(3); }, 1), CrashError);
    EXPECT_EQ(pool.apply(same, 1), 1);
  }
  EXPECT_THAT(text.str(), HasSubstr("worker 0 is process"));
  EXPECT_THAT(text.str(), HasSubstr("exited with code 3"));
}

TEST_F(OptionsTest, ByDefaultNothingIsLogged) {
  ::testing::internal::CaptureStderr();
  ::testing::internal::CaptureStdout();
  {
    Pool pool(1);
    EXPECT_THROW((void)pool.apply([](int) { ::_exit(3); }, 1), CrashError);
  }
  EXPECT_EQ(::testing::internal::GetCapturedStderr(), "");
  EXPECT_EQ(::testing::internal::GetCapturedStdout(), "");
}

TEST_F(OptionsTest, TheSmallestAndTheLargestPoolWork) {
  for (const int workers : {1, test::kSanitized ? 100 : 1024}) {
    Pool pool(Options{.workers = workers, .ring_bytes = 4096});
    EXPECT_EQ(pool.workers(), workers);
    EXPECT_THAT(pool.map([](int) { return 5; }, test::numbers(0, 2000)), Each(5));
    EXPECT_THAT(workers_of(pool), SizeIs(workers));
    pool.close();
    pool.join();
  }
}

int own_cpu_count(int) {
  cpu_set_t set;
  CPU_ZERO(&set);
  ::sched_getaffinity(0, sizeof set, &set);
  return CPU_COUNT(&set);
}

TEST_F(OptionsTest, PinnedWorkersStayOnOneCpuEach) {
  Pool pool(Options{.workers = 2, .pin_workers = true});
  EXPECT_EQ(pool.map(own_cpu_count, std::vector{1, 2, 3, 4}), (std::vector{1, 1, 1, 1}));
}

TEST_F(OptionsTest, AWorkerThatMayRunNoTaskIsRefused) {
  EXPECT_THROW(Pool(Options{.workers = 1, .max_tasks_per_worker = 0}), InvalidArgument);
  EXPECT_THROW(Pool(Options{.workers = 1, .recycle_rss = 0}), InvalidArgument);
}

}  // namespace
}  // namespace bulkhead
