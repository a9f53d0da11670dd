// SPDX-License-Identifier: MIT
#include <bulkhead/detail/intake.hpp>

#include <chrono>
#include <cstdint>

#include <gtest/gtest.h>

namespace bulkhead::detail {
namespace {

using namespace std::chrono_literals;

constexpr std::uint64_t kMany = 1000000;

Intake intake_of(std::size_t buffersize) {
  CallOptions options;
  options.buffersize = buffersize;
  return Intake(options);
}

/// Draws what it may, and says how much that was.
std::uint64_t draw(Intake& intake, std::uint64_t asked, Intake::Clock::duration time = 1us) {
  const std::uint64_t room = intake.room(asked, 0);
  intake.note_drawn(room, time);
  return room;
}

TEST(Intake, DrawsNoMoreThanIsAskedFor) {
  Intake intake = intake_of(kMany);
  EXPECT_EQ(intake.room(0, 0), 0U);
  std::uint64_t drawn = 0;
  while (const std::uint64_t more = draw(intake, 1000)) drawn += more;
  EXPECT_EQ(drawn, 1000U);
  EXPECT_EQ(intake.room(1000, 0), 0U);
}

TEST(Intake, DrawsNoMoreThanTheBufferHolds) {
  Intake intake = intake_of(10);
  std::uint64_t drawn = 0;
  while (const std::uint64_t more = draw(intake, kMany)) drawn += more;
  EXPECT_EQ(drawn, 10U);
  intake.note_taken();
  EXPECT_EQ(intake.room(kMany, 0), 1U);
}

TEST(Intake, DrawsNothingWhenMemoryIsFullUnlessThatIsAllThereIs) {
  Intake intake = intake_of(kMany);
  EXPECT_EQ(intake.room(kMany, Intake::kMostBytes), 1U);
  draw(intake, kMany);
  EXPECT_EQ(intake.room(kMany, Intake::kMostBytes), 0U);
  EXPECT_NE(intake.room(kMany, Intake::kMostBytes - 1), 0U);
}

TEST(Intake, StepsAreLongOnlyWhereElementsComeFast) {
  Intake fast = intake_of(kMany);
  for (int i = 0; i < 20; ++i) draw(fast, kMany);
  EXPECT_GE(fast.room(kMany, 0), 1000U);
  draw(fast, kMany, 1ms);
  EXPECT_LE(fast.room(kMany, 0), 4096U / 2);
  Intake slow = intake_of(kMany);
  for (int i = 0; i < 20; ++i) EXPECT_EQ(draw(slow, kMany, 1s), 1U);
}

TEST(Intake, LooksAfterWorkersRarelyOnlyWhereResultsAreTakenFast) {
  Intake intake = intake_of(kMany);
  int looks = 0;
  for (int i = 0; i < 100000; ++i) looks += intake.time_to_look() ? 1 : 0;
  EXPECT_GE(looks, 1);
  EXPECT_LE(looks, 10000);
}

}  // namespace
}  // namespace bulkhead::detail
