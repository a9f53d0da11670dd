// SPDX-License-Identifier: MIT
#include "runtime/pace.hpp"

#include <chrono>
#include <limits>

#include <gtest/gtest.h>

namespace bulkhead::detail {
namespace {

using namespace std::chrono_literals;

constexpr std::uint64_t kMany = 1'000'000'000;

Pace pace_of(std::chrono::nanoseconds per_task) {
  Pace pace;
  pace.observe(per_task, 1);
  return pace;
}

TEST(Pace, LetsOneTaskGoAheadWhileNothingIsKnown) {
  const Pace pace;
  EXPECT_EQ(pace.window(kMany, 4), 1U);
  EXPECT_EQ(pace.per_task(), 0ns);
}

TEST(Pace, TakesTheFirstObservationAsItIs) {
  Pace pace;
  pace.observe(10us, 5);
  EXPECT_EQ(pace.per_task(), 2us);
}

TEST(Pace, FillsAFixedTimeWithTasks) {
  EXPECT_EQ(pace_of(2us).window(kMany, 1), 1000U);
  EXPECT_EQ(pace_of(200us).window(kMany, 1), 10U);
}

// Row 27: chunk-auto.
TEST(Pace, LetsThousandsOfTinyTasksWait) {
  EXPECT_GE(pace_of(100ns).window(kMany, 4), 10'000U);
}

TEST(Pace, LetsOneTaskWaitBehindOneOfMiddlingLength) {
  EXPECT_EQ(pace_of(5ms).window(kMany, 1), 2U);
  EXPECT_EQ(pace_of(19ms).window(kMany, 1), 2U);
}

// Row 27: chunk-auto.
TEST(Pace, LetsNothingWaitBehindALongTask) {
  EXPECT_EQ(pace_of(20ms).window(kMany, 1), 1U);
  EXPECT_EQ(pace_of(1h).window(kMany, 1), 1U);
}

TEST(Pace, SurvivesTasksThatTookNoTimeAtAll) {
  const std::uint64_t window = pace_of(0ns).window(kMany, 1);
  EXPECT_GE(window, 10'000U);
  EXPECT_LE(window, kMany);
}

TEST(Pace, GivesNoWorkerMoreThanHalfItsShareTowardsTheEnd) {
  const Pace pace = pace_of(100us);
  EXPECT_EQ(pace.window(100, 4), 13U);
  EXPECT_EQ(pace.window(8, 4), 2U);
  EXPECT_EQ(pace.window(0, 4), 2U);
}

TEST(Pace, KeepsNothingBackThatIsDoneSoonerThanAnotherWorkerIsWoken) {
  EXPECT_EQ(pace_of(1us).window(10, 4), 50U);
  EXPECT_EQ(pace_of(20us).window(10, 4), 2U);
}

TEST(Pace, SurvivesHavingNoWorkers) {
  EXPECT_GE(pace_of(1us).window(10, 0), 1U);
}

TEST(Pace, SurvivesTheLargestNumbers) {
  constexpr auto kMost = std::numeric_limits<std::uint64_t>::max();
  EXPECT_GE(pace_of(1us).window(kMost, 1024), 2U);
  EXPECT_EQ(pace_of(std::chrono::nanoseconds::max()).window(kMost, 1), 1U);
}

TEST(Pace, ShrinksItsWindowAsTasksGetSlower) {
  Pace pace = pace_of(1us);
  std::uint64_t window = pace.window(kMany, 1);
  for (int i = 0; i < 20; ++i) {
    pace.observe(1ms, 1);
    EXPECT_LE(pace.window(kMany, 1), window);
    window = pace.window(kMany, 1);
  }
  EXPECT_EQ(window, 2U);
}

TEST(Pace, FollowsFasterTasksSoonerThanSlowerOnes) {
  const auto known = [] {
    Pace pace;
    for (int i = 0; i < 20; ++i) pace.observe(100us, 1);
    return pace;
  };
  Pace faster = known();
  faster.observe(50us, 1);
  EXPECT_EQ(faster.per_task(), 75us);
  Pace slower = known();
  slower.observe(150us, 1);
  EXPECT_EQ(slower.per_task(), 112'500ns);
}

// The first ones include the waking of workers.
TEST(Pace, BelievesTheShortestOfTheFirstMeasurements) {
  Pace pace = pace_of(100us);
  pace.observe(1us, 1);
  EXPECT_EQ(pace.per_task(), 1us);
}

TEST(Pace, ForgetsOneDisturbedMeasurementSoon) {
  Pace pace = pace_of(1us);
  pace.observe(100ms, 1);
  for (int i = 0; i < 20; ++i) pace.observe(1us, 1);
  EXPECT_GE(pace.window(kMany, 1), 1000U);
}

TEST(Pace, LeavesTheStandstillThatLongTasksCausedOnceTheyAreOver) {
  Pace pace = pace_of(1h);
  for (int i = 0; i < 60; ++i) pace.observe(1us, 1);
  EXPECT_GE(pace.window(kMany, 1), 100U);
}

}  // namespace
}  // namespace bulkhead::detail
