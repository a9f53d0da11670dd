// SPDX-License-Identifier: MIT
//
// What users' tests can have happen to workers.
#include "tests/support/numbers.hpp"
#include "tests/support/process.hpp"
#include <bulkhead/pool.hpp>
#include <bulkhead/testing.hpp>

#include <chrono>
#include <csignal>
#include <stdexcept>
#include <string>
#include <vector>

#include <gmock/gmock.h>

namespace bulkhead {
namespace {

using namespace std::chrono_literals;
using fault::Point;
using FaultsTest = test::ProcessTest;

int same(int x) {
  return x;
}
std::string text(int x) {
  return std::string(100, static_cast<char>('a' + x % 26));
}

TEST_F(FaultsTest, KillTheWorkerThatBeginsATask) {
  for (const Point point : {Point::task_begins, Point::task_ends}) {
    Pool pool(Options{.workers = 2, .faults = {fault::kill(point, 3)}});
    const auto small = pool.try_map(same, test::numbers(0, 100));
    const auto large = pool.try_map(text, test::numbers(0, 100));
    for (std::size_t task = 0; task < 100; ++task) {
      ASSERT_EQ(small[task].has_value(), task != 3);
      ASSERT_EQ(large[task].has_value(), task != 3);
      EXPECT_EQ(small[task].value_or(3), static_cast<int>(task));
    }
    EXPECT_EQ(small[3].failure().signal(), SIGKILL);
    EXPECT_EQ(large[3].failure().signal(), SIGKILL);
  }
}

TEST_F(FaultsTest, HitTheFirstAttemptUnlessSaidOtherwise) {
  Pool once(Options{.workers = 1, .faults = {fault::kill(Point::task_ends, 1)}});
  EXPECT_EQ(once.map(same, {1, 2, 3}, CallOptions{.retries = {.crashes = 1}}),
            (std::vector{1, 2, 3}));
  Pool always(
      Options{.workers = 1, .faults = {{.point = Point::task_ends, .task = 1, .attempt = 0}}});
  const auto outcomes = always.try_map(same, {1, 2, 3}, CallOptions{.retries = {.crashes = 2}});
  ASSERT_FALSE(outcomes.at(1));
  EXPECT_EQ(outcomes[1].failure().attempt(), 3);
}

TEST_F(FaultsTest, HitATaskThatThrows) {
  const auto fail = [](int) { throw std::runtime_error("no"); };
  Pool pool(Options{.workers = 1, .faults = {fault::kill(Point::task_ends)}});
  EXPECT_EQ(pool.try_map(fail, {1}).at(0).failure().kind(), FailureKind::crashed);
}

TEST_F(FaultsTest, StopAWorkerSoThatItsTaskTakesTooLong) {
  Pool pool(Options{.workers = 1, .faults = {fault::stop(Point::task_begins, 1)}});
  const auto outcomes = pool.try_map(same, {1, 2, 3}, CallOptions{.timeout = 1s});
  EXPECT_TRUE(outcomes.at(0));
  EXPECT_EQ(outcomes.at(1).failure().kind(), FailureKind::timed_out);
  EXPECT_TRUE(outcomes.at(2));
}

TEST_F(FaultsTest, DelayATask) {
  Pool pool(Options{.workers = 1, .faults = {fault::delay(Point::task_begins, 1h, 1)}});
  const auto outcomes = pool.try_map(same, {1, 2, 3}, CallOptions{.timeout = 1s});
  EXPECT_EQ(outcomes.at(1).failure().kind(), FailureKind::timed_out);
}

TEST_F(FaultsTest, BreakAPoolWhoseWorkersDoNotStart) {
  Pool pool(Options{.workers = 1, .faults = {fault::kill(Point::worker_starts)}});
  EXPECT_THROW((void)pool.map(same, {1}), BrokenPool);
}

TEST_F(FaultsTest, DelayAWorkerThatLeaves) {
  Pool pool(Options{.workers = 1,
                    .max_tasks_per_worker = 1,
                    .faults = {fault::delay(Point::worker_leaves, 10ms)}});
  EXPECT_EQ(pool.map(same, {1, 2, 3}), (std::vector{1, 2, 3}));
}

}  // namespace
}  // namespace bulkhead
