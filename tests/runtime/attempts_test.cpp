// SPDX-License-Identifier: MIT
#include "runtime/attempts.hpp"

#include <chrono>
#include <cstdint>
#include <vector>

#include <gmock/gmock.h>

namespace bulkhead::detail {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

const Attempts::Time kNow{1000s};

FailureDetails failure_of(std::uint64_t task, FailureKind kind = FailureKind::crashed) {
  FailureDetails details;
  details.task = task;
  details.kind = kind;
  return details;
}

/// True if there is to be another attempt.
bool fails(Attempts& attempts, std::uint64_t task, FailureKind kind = FailureKind::crashed) {
  FailureDetails details = failure_of(task, kind);
  return attempts.note_failure(details.task, details, kNow, true);
}

std::vector<std::uint64_t> taken(Attempts& attempts, Attempts::Time now) {
  std::vector<std::uint64_t> tasks;
  attempts.take_due(now, [&](std::uint64_t task) { tasks.push_back(task); });
  return tasks;
}

TEST(Attempts, AreNotMadeAgainUnlessAskedFor) {
  const Retries none;
  Attempts attempts(none);
  for (const FailureKind kind :
       {FailureKind::exception, FailureKind::crashed, FailureKind::timed_out,
        FailureKind::out_of_memory, FailureKind::cancelled, FailureKind::not_run}) {
    EXPECT_FALSE(fails(attempts, 1, kind));
  }
  EXPECT_EQ(attempts.next(1), 1);
}

TEST(Attempts, ThatEndedWellAreForgottenAndTheOthersAreKept) {
  const Retries retries{.crashes = 2};
  Attempts attempts(retries);
  for (const std::uint64_t task : {1U, 2U, 3U, 4U, 4U}) EXPECT_TRUE(fails(attempts, task));
  attempts.forget({2, 2});
  std::vector<std::uint64_t> tasks;
  attempts.take_failed([&](std::uint64_t task, const std::vector<Failure>& failures) {
    tasks.push_back(task);
    EXPECT_THAT(failures, SizeIs(task == 4 ? 2 : 1));
  });
  EXPECT_THAT(tasks, ElementsAre(1, 4));
  EXPECT_FALSE(attempts.due());
  EXPECT_EQ(attempts.next(4), 1);
}

TEST(Attempts, HaveABudgetForEachKindOfFailure) {
  const Retries retries{.exceptions = 1, .crashes = 2};
  Attempts attempts(retries);
  EXPECT_TRUE(fails(attempts, 5));
  EXPECT_TRUE(fails(attempts, 5, FailureKind::exception));
  EXPECT_TRUE(fails(attempts, 5));
  EXPECT_EQ(attempts.next(5), 4);
  EXPECT_FALSE(fails(attempts, 5, FailureKind::exception));
  EXPECT_TRUE(fails(attempts, 6)) << "each task has its own";
  EXPECT_FALSE(fails(attempts, 6, FailureKind::timed_out));
  EXPECT_FALSE(fails(attempts, 7, FailureKind::cancelled));
}

TEST(Attempts, LeaveTheirFailuresToTheLastOne) {
  const Retries retries{.crashes = 2};
  Attempts attempts(retries);
  (void)fails(attempts, 3);
  (void)fails(attempts, 3);
  FailureDetails last = failure_of(3, FailureKind::exception);
  EXPECT_FALSE(attempts.note_failure(last.task, last, kNow, true));
  EXPECT_EQ(last.attempt, 3);
  ASSERT_THAT(last.earlier, SizeIs(2));
  EXPECT_EQ(last.earlier[1].attempt(), 2);
  EXPECT_EQ(last.earlier[1].kind(), FailureKind::crashed);
}

TEST(Attempts, WaitTwiceAsLongEachTimeUpToAMinute) {
  const Retries retries{.crashes = 20, .pause = 100ms};
  Attempts attempts(retries);
  std::vector<std::chrono::milliseconds> pauses;
  for (int i = 0; i < 12; ++i) {
    ASSERT_TRUE(fails(attempts, 3));
    const Attempts::Time due = *attempts.due();
    pauses.push_back(std::chrono::duration_cast<std::chrono::milliseconds>(due - kNow));
    EXPECT_THAT(taken(attempts, due - 1ns), IsEmpty());
    EXPECT_THAT(taken(attempts, due), ElementsAre(3));
  }
  EXPECT_THAT(pauses, ElementsAre(100ms, 200ms, 400ms, 800ms, 1600ms, 3200ms, 6400ms, 12800ms,
                                  25600ms, 51200ms, 60s, 60s));
}

TEST(Attempts, NeedNotWaitIfThatIsSaid) {
  const Retries with_pause{.crashes = 2, .pause = 1min};
  Attempts attempts(with_pause);
  EXPECT_TRUE(fails(attempts, 7));
  EXPECT_TRUE(fails(attempts, 8));
  EXPECT_TRUE(attempts.end(7));
  EXPECT_FALSE(attempts.end(7));
  EXPECT_EQ(attempts.next(7), 2) << "what has failed is not forgotten";
  EXPECT_THAT(taken(attempts, kNow + 1min), ElementsAre(8));
}

TEST(Attempts, WithoutAPauseMayBeMadeAtOnce) {
  const Retries retries{.crashes = 2};
  Attempts attempts(retries);
  (void)fails(attempts, 3);
  (void)fails(attempts, 4);
  EXPECT_THAT(taken(attempts, kNow), ElementsAre(3, 4));
  EXPECT_EQ(attempts.due(), std::nullopt);
}

TEST(Attempts, ThatNobodyWantsAnyMoreAreNotMade) {
  const Retries retries{.crashes = 2, .pause = 1h};
  Attempts attempts(retries);
  for (const unsigned task : {3U, 9U, 5U}) (void)fails(attempts, task);
  std::vector<std::uint64_t> dropped;
  attempts.take_if([](std::uint64_t task) { return task >= 5; },
                   [&](std::uint64_t task) { dropped.push_back(task); });
  EXPECT_THAT(dropped, ::testing::UnorderedElementsAre(5, 9));
  FailureDetails unwanted = failure_of(1);
  EXPECT_FALSE(attempts.note_failure(unwanted.task, unwanted, kNow, false));
  EXPECT_EQ(attempts.failed_from(4), 5U);
  EXPECT_EQ(attempts.failed_from(10), std::nullopt);
}

TEST(Attempts, ThatAreEndedAreNotMadeWhateverComes) {
  const Retries retries{.exceptions = 2, .crashes = 2, .pause = 1h};
  Attempts attempts(retries);
  EXPECT_FALSE(attempts.end(3)) << "it runs";
  EXPECT_FALSE(fails(attempts, 3));
  EXPECT_TRUE(fails(attempts, 4));
  EXPECT_TRUE(attempts.end(4));
  EXPECT_FALSE(fails(attempts, 4, FailureKind::exception));
  EXPECT_EQ(attempts.due(), std::nullopt);
  attempts.forget({3, 1});
  EXPECT_TRUE(fails(attempts, 3)) << "its end is forgotten, too";
}

}  // namespace
}  // namespace bulkhead::detail
