// SPDX-License-Identifier: MIT
//
// What a progress bar says.
#include "runtime/progress_text.hpp"

#include <optional>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace bulkhead::detail {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using Seconds = Rate::Seconds;

Rate rate_of(double seconds, std::uint64_t done) {
  Rate rate;
  rate.note(Seconds(seconds), done);
  return rate;
}

TEST(ProgressText, SaysHowFarHowFastAndHowLong) {
  EXPECT_EQ(progress_text("parsing", {3812, 3, 10000}, rate_of(4.7, 3812), std::nullopt),
            "parsing  38% 3812/10000, 811/s, 8 s left, 3 failed");
}

TEST(ProgressText, OfAKeyedJobGoesOnWhileKeysAreReduced) {
  Progress progress{500, 1, 500, std::chrono::seconds(30)};
  progress.partitions = 64;
  EXPECT_EQ(progress_text("", progress, rate_of(10, 500), std::nullopt),
            "100% 500/500, 50/s, 0 s left, 1 failed");
  progress.reduced = 16;
  progress.reducing = std::chrono::seconds(10);
  EXPECT_EQ(progress_text("", progress, rate_of(10, 500), std::nullopt),
            "100% 500/500, 16/64 reduced, 30 s left, 1 failed");
}

TEST(ProgressText, FitsItsLine) {
  const Progress progress{3812, 3, 10000};
  for (std::size_t width = 1; width < 200; ++width)
    EXPECT_LE(progress_text("parsing", progress, rate_of(4.7, 3812), width).size(), width);
  EXPECT_THAT(progress_text("parsing", progress, rate_of(4.7, 3812), 79), HasSubstr("[====="));
  EXPECT_THAT(progress_text("parsing", progress, rate_of(4.7, 3812), 55), Not(HasSubstr("[")));
}

TEST(ProgressText, WithoutATotalHasNoShare) {
  EXPECT_EQ(progress_text("", {500, 0, std::nullopt}, rate_of(1, 500), 79), "500, 500/s");
}

TEST(ProgressText, OfACallThatHasNotGotAnywhere) {
  EXPECT_EQ(progress_text("x", {0, 0, 5}, Rate(), std::nullopt), "x   0% 0/5");
  EXPECT_EQ(progress_text("x", {0, 0, 0}, Rate(), std::nullopt), "x 0/0");
}

TEST(ProgressText, AtTheEndSumsUp) {
  EXPECT_EQ(final_text("parsing", {10000, 2, 10000}, Seconds(75)),
            "parsing: 10000 in 1:15, 133/s, 2 failed");
  EXPECT_EQ(final_text("", {10, 0, 20}, Seconds(4000)), "10 of 20 in 1:06:40, 0.0025/s");
  EXPECT_EQ(final_text("", {100'000, 0, 100'000}, Seconds(0.0087)), "100000 in 0.0087 s, 11.5M/s");
}

TEST(Rate, IsThatOfTheLastSeconds) {
  Rate rate;
  EXPECT_FALSE(rate.per_second());
  std::uint64_t done = 0;
  for (int i = 1; i <= 600; ++i) rate.note(Seconds(i * 0.1), done += 10);
  for (int i = 601; i <= 1000; ++i) rate.note(Seconds(i * 0.1), done += 1);
  ASSERT_TRUE(rate.per_second());
  EXPECT_NEAR(*rate.per_second(), 10, 0.5);
}

}  // namespace
}  // namespace bulkhead::detail
