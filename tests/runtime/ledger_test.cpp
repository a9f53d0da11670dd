// SPDX-License-Identifier: MIT
#include "runtime/ledger.hpp"

#include <deque>
#include <optional>
#include <random>
#include <set>

#include <gtest/gtest.h>

namespace bulkhead::detail {
namespace {

Ledger ledger_of(std::uint64_t tasks) {
  Ledger ledger;
  ledger.extend(tasks, true);
  return ledger;
}

Settled succeeded(std::uint64_t count) {
  return {count, 0, 0};
}

TEST(Ledger, GivesOutTheLowestTasksFirst) {
  Ledger ledger = ledger_of(10);
  EXPECT_EQ(ledger.take(4), (TaskRange{0, 4}));
  EXPECT_EQ(ledger.take(4), (TaskRange{4, 4}));
  EXPECT_EQ(ledger.take(4), (TaskRange{8, 2}));
}

TEST(Ledger, GivesOutNothingWhereNothingIs) {
  Ledger ledger = ledger_of(1);
  EXPECT_EQ(ledger.take(0).count, 0U);
  EXPECT_EQ(ledger.take(1).count, 1U);
  EXPECT_EQ(ledger.take(1).count, 0U);
  EXPECT_FALSE(ledger.has_work());
}

TEST(Ledger, GivesOutNothingBeyondTheHorizon) {
  Ledger ledger = ledger_of(10);
  EXPECT_EQ(ledger.take(10, 0).count, 0U);
  EXPECT_EQ(ledger.take(10, 3), (TaskRange{0, 3}));
  EXPECT_EQ(ledger.take(10, 3).count, 0U);
  EXPECT_EQ(ledger.take(2), (TaskRange{3, 2}));
  ledger.give_back({1, 2});
  EXPECT_EQ(ledger.take(10, 1).count, 0U);
  EXPECT_EQ(ledger.take(10, 2), (TaskRange{1, 1}));
  EXPECT_EQ(ledger.take(10), (TaskRange{2, 1}));
}

TEST(Ledger, IsDoneOnceAllThatExistsHasEnded) {
  Ledger ledger = ledger_of(3);
  EXPECT_FALSE(ledger.done());
  (void)ledger.take(3);
  EXPECT_FALSE(ledger.done());
  ledger.settle(succeeded(2));
  EXPECT_FALSE(ledger.done());
  ledger.settle(succeeded(1));
  EXPECT_TRUE(ledger.done());
  EXPECT_EQ(ledger.settled(), 3U);
  EXPECT_EQ(ledger.failed(), 0U);
}

TEST(Ledger, OfAnEmptyJobIsDoneAtOnce) {
  EXPECT_TRUE(ledger_of(0).done());
}

TEST(Ledger, CountsFailures) {
  Ledger ledger = ledger_of(5);
  (void)ledger.take(5);
  ledger.settle({3, 2, 1});
  ledger.settle({2, 1, 4});
  EXPECT_EQ(ledger.settled(), 5U);
  EXPECT_EQ(ledger.failed(), 3U);
}

TEST(Ledger, GrowsAsElementsAreDrawn) {
  Ledger ledger;
  EXPECT_TRUE(ledger.wants_more());
  EXPECT_EQ(ledger.total(), std::nullopt);
  ledger.extend(2, false);
  EXPECT_EQ(ledger.take(5), (TaskRange{0, 2}));
  ledger.settle(succeeded(2));
  EXPECT_FALSE(ledger.done());
  EXPECT_TRUE(ledger.wants_more());
  ledger.extend(3, true);
  EXPECT_FALSE(ledger.wants_more());
  EXPECT_EQ(ledger.total(), 3U);
  EXPECT_EQ(ledger.take(5), (TaskRange{2, 1}));
  ledger.settle(succeeded(1));
  EXPECT_TRUE(ledger.done());
}

TEST(Ledger, GivesOutAgainWhatCameBackBeforeAnythingFresh) {
  Ledger ledger = ledger_of(20);
  (void)ledger.take(10);
  ledger.give_back({2, 3});
  EXPECT_EQ(ledger.unsent(), 13U);
  EXPECT_EQ(ledger.take(2), (TaskRange{2, 2}));
  EXPECT_EQ(ledger.take(5), (TaskRange{4, 1}));
  EXPECT_EQ(ledger.take(5), (TaskRange{10, 5}));
}

TEST(Ledger, GivesOutTheLowestOfWhatCameBackFirst) {
  Ledger ledger = ledger_of(20);
  (void)ledger.take(20);
  ledger.give_back({12, 2});
  ledger.give_back({3, 2});
  EXPECT_EQ(ledger.take(9), (TaskRange{3, 2}));
  EXPECT_EQ(ledger.take(9), (TaskRange{12, 2}));
}

TEST(Ledger, TakesWhatWasGivenOutLastForFreshAgain) {
  Ledger ledger = ledger_of(20);
  (void)ledger.take(10);
  ledger.give_back({6, 4});
  EXPECT_EQ(ledger.take(20), (TaskRange{6, 14}));
}

TEST(Ledger, IsNotDoneWhileSomethingThatCameBackIsStillToRun) {
  Ledger ledger = ledger_of(2);
  (void)ledger.take(2);
  ledger.settle(succeeded(1));
  ledger.give_back({0, 1});
  EXPECT_TRUE(ledger.has_work());
  EXPECT_FALSE(ledger.done());
}

TEST(Ledger, GivesOutNothingFromItsLimitOn) {
  Ledger ledger = ledger_of(10);
  ledger.stop_at(6);
  EXPECT_EQ(ledger.unsent(), 6U);
  EXPECT_EQ(ledger.take(10), (TaskRange{0, 6}));
  EXPECT_FALSE(ledger.has_work());
  ledger.settle(succeeded(6));
  EXPECT_TRUE(ledger.done());
}

TEST(Ledger, WaitsAtItsLimitForWhatIsOut) {
  Ledger ledger = ledger_of(10);
  (void)ledger.take(8);
  ledger.settle({1, 1, 2});
  ledger.stop_at(2);
  EXPECT_FALSE(ledger.has_work());
  EXPECT_FALSE(ledger.done());
  ledger.settle(succeeded(3));
  ledger.give_back({4, 4});
  EXPECT_TRUE(ledger.done());
}

TEST(Ledger, NeverRaisesItsLimit) {
  Ledger ledger = ledger_of(10);
  ledger.stop_at(4);
  ledger.stop_at(7);
  EXPECT_EQ(ledger.limit(), 4U);
  EXPECT_EQ(ledger.take(10), (TaskRange{0, 4}));
}

TEST(Ledger, CutsWhatCameBackAtTheLimit) {
  Ledger ledger = ledger_of(30);
  (void)ledger.take(30);
  ledger.give_back({2, 3});
  ledger.give_back({8, 6});
  ledger.give_back({20, 4});
  ledger.stop_at(10);
  EXPECT_EQ(ledger.unsent(), 5U);
  EXPECT_EQ(ledger.take(10), (TaskRange{2, 3}));
  EXPECT_EQ(ledger.take(10), (TaskRange{8, 2}));
  EXPECT_EQ(ledger.take(10).count, 0U);
}

TEST(Ledger, DropsWhatComesBackFromBeyondTheLimit) {
  Ledger ledger = ledger_of(10);
  (void)ledger.take(10);
  ledger.stop_at(4);
  ledger.give_back({2, 6});
  EXPECT_EQ(ledger.unsent(), 2U);
  EXPECT_EQ(ledger.take(10), (TaskRange{2, 2}));
  ledger.give_back({8, 2});
  EXPECT_FALSE(ledger.has_work());
}

TEST(Ledger, WantsNoElementsBeyondItsLimit) {
  Ledger ledger;
  ledger.extend(4, false);
  EXPECT_TRUE(ledger.wants_more());
  ledger.stop_at(4);
  EXPECT_FALSE(ledger.wants_more());
  (void)ledger.take(4);
  ledger.settle(succeeded(4));
  EXPECT_TRUE(ledger.done());
}

TEST(Ledger, StoppedBeforeTheFirstTaskIsDoneAtOnce) {
  Ledger ledger;
  ledger.stop_at(0);
  EXPECT_TRUE(ledger.done());
}

TEST(Ledger, GivesEveryTaskToSomebodyUntilItEndsHoweverOftenItComesBack) {
  constexpr std::uint64_t kTasks = 500;
  std::mt19937 random(6);
  for (int round = 0; round < 20; ++round) {
    Ledger ledger;
    std::uint64_t drawn = 0;
    std::deque<TaskRange> out;
    std::set<std::uint64_t> ended;
    while (!ledger.done()) {
      if (ledger.wants_more() && random() % 2 == 0) {
        drawn = std::min<std::uint64_t>(kTasks, drawn + random() % 40);
        ledger.extend(drawn, drawn == kTasks);
      }
      const TaskRange given = ledger.take(random() % 20);
      if (given.count != 0) out.push_back(given);
      if (out.empty()) continue;
      const TaskRange range = out.front();
      out.pop_front();
      const std::uint64_t done = random() % (range.count + 1);
      for (std::uint64_t i = 0; i < done; ++i) {
        EXPECT_TRUE(ended.insert(range.first + i).second) << "task ended twice";
      }
      ledger.settle(succeeded(done));
      ledger.give_back({range.first + done, range.count - done});
    }
    EXPECT_EQ(ended.size(), kTasks);
    EXPECT_EQ(ledger.settled(), kTasks);
    EXPECT_EQ(ledger.unsent(), 0U);
  }
}

}  // namespace
}  // namespace bulkhead::detail
