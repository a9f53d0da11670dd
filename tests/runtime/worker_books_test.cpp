// SPDX-License-Identifier: MIT
//
// What is believed of a worker's own words, and how figures are added up and shown.
#include "runtime/worker_books.hpp"
#include "worker/work_meter.hpp"

#include <chrono>
#include <cstdint>
#include <limits>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace bulkhead::detail {
namespace {

using namespace std::chrono_literals;
using ::testing::SizeIs;
using Seconds = Stats::Seconds;

constexpr StatsTime kBorn{100s};
constexpr WorkBounds kBounds{kBorn, kBorn + 1s, kBorn + 11s, 10};

TEST(WorkerBooks, BelieveWhatCanBeTrue) {
  WorkWords words{};
  words.working = 4'000'000'000;
  words.serialising = 1'000'000'000;
  words.counts[0] = 3;
  words.counts[27] = 2;
  const WorkFigures figures = believed(words, kBounds);
  EXPECT_EQ(figures.times.start, Seconds(1));
  EXPECT_EQ(figures.times.working, Seconds(4));
  EXPECT_EQ(figures.times.serialising, Seconds(1));
  EXPECT_EQ(figures.times.waiting, Seconds(5));
  EXPECT_EQ(figures.tasks.count(), 5U);
  EXPECT_EQ(figures.tasks.sum, Seconds(5));
}

TEST(WorkerBooks, BelieveNoMoreThanCanBeTrue) {
  WorkWords words{};
  words.working = std::numeric_limits<std::int64_t>::max();
  words.serialising = std::numeric_limits<std::int64_t>::min();
  for (auto& count : words.counts) count = std::numeric_limits<std::uint64_t>::max();
  const WorkFigures figures = believed(words, kBounds);
  EXPECT_EQ(figures.times.working, Seconds(10));
  EXPECT_EQ(figures.times.serialising, Seconds(0));
  EXPECT_EQ(figures.times.waiting, Seconds(0));
  EXPECT_EQ(figures.tasks.count(), 10U);
}

TEST(WorkerBooks, BucketsAreThoseThatAreShown) {
  for (std::size_t i = 0; i < kTimeBounds.size(); ++i) {
    EXPECT_DOUBLE_EQ(static_cast<double>(kTimeBounds[i]) / 1e9, Stats::Histogram::kBounds[i]);
    EXPECT_EQ(time_bucket(kTimeBounds[i]), i);
    EXPECT_EQ(time_bucket(kTimeBounds[i] + 1), i + 1);
  }
  EXPECT_EQ(time_bucket(0), 0U);
  EXPECT_EQ(time_bucket(-1), 0U);
}

TEST(WorkerBooks, AnUnfinishedTaskWasNoWaiting) {
  WorkFigures figures;
  figures.times.waiting = Seconds(3);
  add_unfinished(figures, Seconds(2));
  EXPECT_EQ(figures.times.working, Seconds(2));
  add_unfinished(figures, Seconds(2));
  EXPECT_EQ(figures.times.working, Seconds(3));
  EXPECT_EQ(figures.times.waiting, Seconds(0));
}

TEST(WorkerBooks, QuantilesAreBoundsOfBuckets) {
  Stats::Histogram tasks;
  EXPECT_EQ(tasks.quantile(0.5), Seconds(0));
  for (int i = 0; i < 99; ++i) add_task(tasks, 3ms);
  add_task(tasks, 3000s);
  EXPECT_EQ(tasks.quantile(0.5), Seconds(5e-3));
  EXPECT_EQ(tasks.quantile(0.99), Seconds(5e-3));
  EXPECT_EQ(tasks.quantile(1.0).count(), std::numeric_limits<double>::infinity());
  EXPECT_EQ(tasks.cumulative(26), 99U);
  EXPECT_EQ(tasks.cumulative(27), 100U);
}

TEST(SlowTasks, KeepTheFiveSlowestInOrder) {
  SlowTasks tasks;
  for (std::uint64_t i = 0; i < 10; ++i)
    tasks.add({1, nullptr}, i, Seconds(static_cast<double>((i * 7) % 10)), 0);
  ASSERT_THAT(tasks.all(), SizeIs(5));
  for (std::size_t i = 0; i < 5; ++i)
    EXPECT_EQ(tasks.all()[i].time, Seconds(9 - static_cast<double>(i)));
  SlowTasks others;
  others.add({2, std::make_shared<const std::string>("x")}, 3, Seconds(100), 4);
  tasks.add(others);
  ASSERT_THAT(tasks.all(), SizeIs(5));
  EXPECT_EQ(tasks.all()[0].label, "x");
  EXPECT_EQ(tasks.all()[0].worker, 4);
}

TEST(ShownFigures, NeverGetSmaller) {
  ShownFigures shown;
  WorkFigures figures;
  figures.times.working = Seconds(2);
  figures.tasks.counts[3] = 5;
  EXPECT_EQ(shown.raise(figures).times.working, Seconds(2));
  figures.times.working = Seconds(1);
  figures.tasks.counts[3] = 4;
  EXPECT_EQ(shown.raise(figures).times.working, Seconds(2));
  EXPECT_EQ(shown.raise(figures).tasks.counts[3], 5U);
}

}  // namespace
}  // namespace bulkhead::detail
