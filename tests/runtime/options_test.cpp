// SPDX-License-Identifier: MIT
#include "runtime/options.hpp"

#include <bulkhead/error.hpp>

#include <limits>
#include <string>

#include <gtest/gtest.h>

namespace bulkhead::detail {
namespace {

std::string complaint_about(const Options& options, int usable_cpus = 8) {
  try {
    (void)validated_workers(options, usable_cpus);
  } catch (const InvalidArgument& error) {
    return error.what();
  }
  return "none";
}

Options with_workers(int workers) {
  Options options;
  options.workers = workers;
  return options;
}

Options with_ring_bytes(std::size_t bytes) {
  Options options;
  options.ring_bytes = bytes;
  return options;
}

TEST(Options, AskForOneWorkerPerUsableCpuByDefault) {
  EXPECT_EQ(validated_workers({}, 1), 1);
  EXPECT_EQ(validated_workers({}, 8), 8);
}

TEST(Options, AskForNoMoreThanTheMostWorkersOnAHugeMachine) {
  EXPECT_EQ(validated_workers({}, 4096), kMaxWorkers);
}

TEST(Options, AcceptAnyNumberOfWorkersBetweenTheBounds) {
  EXPECT_EQ(validated_workers(with_workers(1), 8), 1);
  EXPECT_EQ(validated_workers(with_workers(100), 8), 100);
  EXPECT_EQ(validated_workers(with_workers(kMaxWorkers), 8), kMaxWorkers);
}

TEST(Options, RefuseNoWorkers) {
  EXPECT_EQ(complaint_about(with_workers(0)),
            "bulkhead: Options::workers is 0; it must be between 1 and 1024 (leave it unset for "
            "one worker per usable CPU, here 8)");
}

TEST(Options, RefuseTooFewAndTooManyWorkers) {
  EXPECT_NE(complaint_about(with_workers(-3)).find("Options::workers is -3;"), std::string::npos);
  EXPECT_NE(complaint_about(with_workers(1025)).find("Options::workers is 1025;"),
            std::string::npos);
  EXPECT_NE(complaint_about(with_workers(std::numeric_limits<int>::min())), "none");
}

TEST(Options, AcceptRingsOfTheSmallestAndTheLargestSize) {
  EXPECT_EQ(complaint_about(with_ring_bytes(kMinRingBytes)), "none");
  EXPECT_EQ(complaint_about(with_ring_bytes(kMaxRingBytes)), "none");
  EXPECT_EQ(complaint_about(with_ring_bytes(5000)), "none");
}

TEST(Options, RefuseARingThatIsTooSmall) {
  EXPECT_EQ(complaint_about(with_ring_bytes(4095)),
            "bulkhead: Options::ring_bytes is 4095; it must be between 4096 and 1073741824 (larger "
            "values stream through any ring)");
  EXPECT_NE(complaint_about(with_ring_bytes(0)), "none");
}

TEST(Options, RefuseARingThatIsTooLarge) {
  EXPECT_NE(complaint_about(with_ring_bytes(kMaxRingBytes + 1))
                .find("Options::ring_bytes is 1073741825;"),
            std::string::npos);
  EXPECT_NE(complaint_about(with_ring_bytes(std::numeric_limits<std::size_t>::max())), "none");
}

TEST(Options, RefuseWhatIsNoChoice) {
  Options options;
  options.output = static_cast<Output>(9);
  EXPECT_NE(complaint_about(options).find("Options::output is 9;"), std::string::npos);
  options = {};
  options.faults = {fault::delay(fault::Point::task_begins, std::chrono::seconds{-1})};
  EXPECT_NE(complaint_about(options).find("Fault::delay is -1 s;"), std::string::npos);
  options.faults = {fault::Fault{.attempt = -1}};
  EXPECT_NE(complaint_about(options).find("Fault::attempt is -1;"), std::string::npos);
}

TEST(Options, AreFineForAProcessWithOneThread) {
  EXPECT_NO_THROW(require_forkable({}, 1));
}

TEST(Options, RefuseToForkAProcessWithOtherThreads) {
  try {
    require_forkable({}, 3);
    FAIL() << "nothing was thrown";
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(),
                 "bulkhead: this process has 3 threads (runtime_test), and workers are forked from "
                 "it: a lock that another thread holds now would stay locked for ever in every "
                 "worker. Make the Pool, or call fork_map, before starting threads (that of a Pool "
                 "with asynchronous calls is named bulkhead-pool: see Options::helper_thread); "
                 "call bulkhead::init() first thing in main and make Pools, but not fork_map's, at "
                 "any time; or, if you know that no such lock matters, set "
                 "Options::risk_locks_held_by_other_threads");
  }
}

TEST(Options, RefuseToTakeASnapshotOfAProcessWithOtherThreads) {
  EXPECT_NO_THROW(require_single_thread(1));
  try {
    require_single_thread(3);
    FAIL() << "nothing was thrown";
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(),
                 "bulkhead: this process has 3 threads already when it comes to bulkhead::init(), "
                 "whose snapshot would hold their locks locked for ever; call it first thing in "
                 "main");
  }
}

TEST(Options, AreOverruledByTheEnvironmentWhereTasksRun) {
  Options options;
  EXPECT_FALSE(is_inline(options, nullptr));
  EXPECT_FALSE(is_inline(options, ""));
  EXPECT_FALSE(is_inline(options, "0"));
  EXPECT_TRUE(is_inline(options, "1"));
  options.inline_execution = true;
  EXPECT_TRUE(is_inline(options, nullptr));
  EXPECT_TRUE(is_inline(options, ""));
  EXPECT_FALSE(is_inline(options, "0"));
  EXPECT_TRUE(is_inline(options, "1"));
  for (const char* word : {"2", "yes", " 1", "10"}) {
    EXPECT_THROW((void)is_inline(options, word), InvalidArgument) << word;
  }
}

TEST(Options, CanTakeTheRiskOfOtherThreads) {
  Options options;
  options.risk_locks_held_by_other_threads = true;
  EXPECT_NO_THROW(require_forkable(options, 3));
}

}  // namespace
}  // namespace bulkhead::detail
