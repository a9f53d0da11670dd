// SPDX-License-Identifier: MIT
//
// How a worker adds up its time: no task is left out or counted twice, and one that takes long is
// told from short ones.
#include "worker/work_meter.hpp"

#include "tests/support/shared.hpp"

#include <algorithm>
#include <chrono>
#include <cstdint>

#include <gtest/gtest.h>

namespace bulkhead::detail {
namespace {

using namespace std::chrono_literals;

class WorkMeterTest : public testing::Test {
 protected:
  WorkMeterTest() {
    meter_.start();
    meter_.begin_kind(0);
  }
  ~WorkMeterTest() override { meter_.end_task(begun_); }

  /// As serve.cpp does.
  void run(std::chrono::nanoseconds time) {
    ++begun_;
    test::work_for(time);
    if (meter_.is_exact()) meter_.end_task(begun_);
    meter_.end_frame(begun_);
  }
  void wait_a_moment() { meter_.resume_about(meter_.pause(begun_)); }
  void sleep() {
    meter_.pause(begun_);
    meter_.finish_span();
    meter_.resume();
  }

  [[nodiscard]] std::uint64_t counted(std::int64_t longer_than = -1) const {
    std::uint64_t all = 0;
    for (std::size_t i = 0; i < kTimeBuckets; ++i) {
      if (longer_than < 0 || i > time_bucket(longer_than)) all += words_.counts[i];
    }
    return all;
  }
  [[nodiscard]] std::int64_t slowest() const {
    std::int64_t most = 0;
    for (const auto& slow : words_.slowest) most = std::max(most, slow.time.load());
    return most;
  }

  WorkWords words_{};
  WorkMeter meter_{words_};
  std::uint64_t begun_ = 0;
};

TEST_F(WorkMeterTest, SaysWhenTheWorkerIsReady) {
  EXPECT_GT(words_.ready_at, 0);
}

TEST_F(WorkMeterTest, CountsEachLongTaskAtOnce) {
  for (std::uint64_t i = 1; i <= 5; ++i) {
    run(100us);
    EXPECT_EQ(counted(), i);
    EXPECT_TRUE(meter_.is_exact());
  }
  EXPECT_EQ(counted(50'000), 5U);
  EXPECT_GE(words_.working, 500'000);
}

TEST_F(WorkMeterTest, CountsShortTasksTogetherAndAllBeforeASleep) {
  for (int i = 0; i < 10'000; ++i) {
    run(0ns);
    if (i % 10 == 0 && !meter_.is_exact()) wait_a_moment();
  }
  sleep();
  EXPECT_EQ(counted(), 10'000U);
  EXPECT_GT(words_.working, 0);
}

TEST_F(WorkMeterTest, TellsALongTaskFromShortOnesBeforeIt) {
  for (int i = 0; i < 1000; ++i) run(0ns);
  if (!meter_.is_exact()) wait_a_moment();
  run(5ms);
  sleep();
  EXPECT_EQ(counted(), 1001U);
  EXPECT_GE(counted(2'000'000), 1U);
  EXPECT_GE(slowest(), 5'000'000);
}

TEST_F(WorkMeterTest, LeavesOutTasksThatWereTakenBack) {
  for (int i = 0; i < 10; ++i) run(0ns);
  meter_.pause(begun_);
  meter_.finish_span();
  meter_.skip_to(begun_ += 100);
  meter_.resume();
  run(0ns);
  sleep();
  EXPECT_EQ(counted(), 11U);
}

TEST_F(WorkMeterTest, IsNotMisledByATaskThatHasWrittenOverItsNumber) {
  for (const std::uint64_t wrong : {std::uint64_t{0}, std::uint64_t{1} << 63, ~std::uint64_t{0}}) {
    run(100us);
    ASSERT_TRUE(meter_.is_exact());
    test::work_for(100us);
    meter_.end_task(wrong);
    meter_.end_frame(++begun_);
    EXPECT_EQ(counted(), begun_);
    EXPECT_LT(words_.working, 10'000'000'000);
  }
}

TEST_F(WorkMeterTest, TellsCodingFromWork) {
  meter_.begin_task();
  test::work_for(200us);
  meter_.enter(TaskPhase::running);
  test::work_for(300us);
  meter_.enter(TaskPhase::encoding);
  test::work_for(400us);
  meter_.end_task(++begun_);
  EXPECT_GE(words_.working, 300'000);
  EXPECT_GE(words_.serialising, 600'000);
}

}  // namespace
}  // namespace bulkhead::detail
