// SPDX-License-Identifier: MIT
#include "runtime/in_flight.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <deque>
#include <random>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

namespace bulkhead::detail {
namespace {

// Two jobs that are only told apart, never looked into.
std::array<std::max_align_t, 2> places;
ActiveJob* const kOne = reinterpret_cast<ActiveJob*>(&places[0]);
ActiveJob* const kTwo = reinterpret_cast<ActiveJob*>(&places[1]);

using Entry = std::pair<ActiveJob*, TaskRange>;

std::vector<Entry> taken_back(InFlight& queue, std::uint64_t count) {
  std::vector<Entry> taken;
  queue.take_back(count, [&taken](const Run& run) { taken.emplace_back(run.job, run.tasks); });
  return taken;
}

void expect_front(const InFlight& queue, ActiveJob* job, TaskRange tasks) {
  EXPECT_EQ(queue.front().job, job);
  EXPECT_EQ(queue.front().tasks, tasks);
}

TEST(InFlight, IsEmptyAtFirst) {
  const InFlight queue;
  EXPECT_TRUE(queue.empty());
  EXPECT_EQ(queue.size(), 0U);
}

TEST(InFlight, JoinsConsecutiveTasksOfOneJob) {
  InFlight queue;
  queue.push(kOne, {0, 2});
  queue.push(kOne, {2, 3});
  EXPECT_EQ(queue.size(), 5U);
  expect_front(queue, kOne, {0, 5});
}

TEST(InFlight, KeepsTasksApartThatDoNotFollowEachOther) {
  InFlight queue;
  queue.push(kOne, {4, 2});
  queue.push(kOne, {0, 4});
  expect_front(queue, kOne, {4, 2});
  queue.pop(2);
  expect_front(queue, kOne, {0, 4});
}

TEST(InFlight, KeepsJobsApart) {
  InFlight queue;
  queue.push(kOne, {0, 2});
  queue.push(kTwo, {2, 2});
  expect_front(queue, kOne, {0, 2});
  queue.pop(2);
  expect_front(queue, kTwo, {2, 2});
}

TEST(InFlight, IgnoresAnEmptyRange) {
  InFlight queue;
  queue.push(kOne, {0, 0});
  EXPECT_TRUE(queue.empty());
  queue.push(kOne, {0, 2});
  queue.push(kTwo, {0, 0});
  queue.push(kOne, {2, 1});
  expect_front(queue, kOne, {0, 3});
}

TEST(InFlight, PopsPartOfTheFrontRun) {
  InFlight queue;
  queue.push(kOne, {5, 4});
  queue.pop(1);
  expect_front(queue, kOne, {6, 3});
  queue.pop(3);
  EXPECT_TRUE(queue.empty());
}

TEST(InFlight, JoinsWhatFollowsARunThatWasPartlyPopped) {
  InFlight queue;
  queue.push(kOne, {5, 4});
  queue.pop(2);
  queue.push(kOne, {9, 1});
  expect_front(queue, kOne, {7, 3});
}

TEST(InFlight, TakesBackTheNewestFirst) {
  InFlight queue;
  queue.push(kOne, {0, 4});
  queue.push(kTwo, {0, 3});
  EXPECT_EQ(taken_back(queue, 5), (std::vector<Entry>{{kTwo, {0, 3}}, {kOne, {2, 2}}}));
  EXPECT_EQ(queue.size(), 2U);
  expect_front(queue, kOne, {0, 2});
}

TEST(InFlight, TakesBackEverything) {
  InFlight queue;
  queue.push(kOne, {0, 4});
  queue.push(kTwo, {0, 3});
  EXPECT_EQ(taken_back(queue, queue.size()).size(), 2U);
  EXPECT_TRUE(queue.empty());
}

TEST(InFlight, TakesBackNothing) {
  InFlight queue;
  EXPECT_TRUE(taken_back(queue, 0).empty());
  queue.push(kOne, {0, 4});
  EXPECT_TRUE(taken_back(queue, 0).empty());
  EXPECT_EQ(queue.size(), 4U);
}

/// The queue beside a plain list of its tasks.
struct Twins {
  void push(ActiveJob* job, TaskRange tasks) {
    queue.push(job, tasks);
    for (std::uint64_t i = 0; i < tasks.count; ++i) model.emplace_back(job, tasks.first + i);
  }
  void take_back(std::uint64_t count) {
    for (const auto& [job, tasks] : taken_back(queue, count)) {
      for (std::uint64_t i = tasks.count; i-- > 0;) {
        EXPECT_EQ(model.back(), std::pair(job, tasks.first + i));
        model.pop_back();
      }
    }
  }
  void pop(std::uint64_t most) {
    const Run front = queue.front();
    const std::uint64_t count = std::min(most, front.tasks.count);
    for (std::uint64_t i = 0; i < count; ++i) {
      EXPECT_EQ(model.front(), std::pair(front.job, front.tasks.first + i));
      model.pop_front();
    }
    queue.pop(count);
  }

  InFlight queue;
  std::deque<std::pair<ActiveJob*, std::uint64_t>> model;
};

TEST(InFlight, IsTheQueueOfTasksThatItStandsFor) {
  std::mt19937 random(7);
  Twins twins;
  std::uint64_t next = 0;
  for (int step = 0; step < 20'000; ++step) {
    const std::uint64_t count = random() % 5;
    if (random() % 2 == 0) {
      twins.push(random() % 2 == 0 ? kOne : kTwo, {next, count});
      next += count + random() % 2;
    } else if (random() % 4 == 0) {
      twins.take_back(std::min(count, twins.queue.size()));
    } else if (!twins.queue.empty()) {
      twins.pop(count + 1);
    }
    ASSERT_EQ(twins.queue.size(), twins.model.size());
  }
}

}  // namespace
}  // namespace bulkhead::detail
