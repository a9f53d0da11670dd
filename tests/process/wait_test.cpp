// SPDX-License-Identifier: MIT
//
// Waiting for several results at a time.
#include "tests/support/numbers.hpp"
#include "tests/support/process.hpp"
#include "tests/support/shared.hpp"
#include <bulkhead/pool.hpp>
#include <bulkhead/wait.hpp>

#include <chrono>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>

namespace bulkhead {
namespace {

using namespace std::chrono_literals;
using test::numbers;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

struct State {
  test::Gated gated;
};
const test::Shared<State> state;

int square(int x) {
  return x * x;
}
int wait_for_gate(int x) {
  return state->gated.wait_for_gate(x);
}
int refuse(int x) {
  throw std::runtime_error("refused " + std::to_string(x));
}

class WaitTest : public test::ProcessTest {
 protected:
  void SetUp() override {
    ProcessTest::SetUp();
    state.reset();
  }
};

TEST_F(WaitTest, IsForAllResults) {
  Pool pool(2);
  std::vector<AsyncResult<int>> results;
  for (int x = 0; x < 100; ++x) results.push_back(pool.apply_async(square, x));
  auto [done, pending] = wait(results);
  EXPECT_THAT(pending, SizeIs(0));
  ASSERT_THAT(done, SizeIs(100));
  for (int x = 0; x < 100; ++x) EXPECT_EQ(done[static_cast<std::size_t>(x)].get(), x * x);
  EXPECT_THAT(wait(std::vector<AsyncResult<int>>{}).done, SizeIs(0));
}

// Row 196: wait-first.
TEST_F(WaitTest, IsForTheFirstResult) {
  Pool pool(2);
  const auto late = pool.apply_async(wait_for_gate, 1);
  ASSERT_TRUE(state->gated.begun.reaches(1));
  const auto early = pool.apply_async(square, 3);
  const std::vector results{late, early, early, late};
  auto [done, pending] = wait(results, WaitFor::first);
  ASSERT_THAT(done, SizeIs(1));
  ASSERT_THAT(pending, SizeIs(1));
  EXPECT_EQ(done[0].get(), 9);
  EXPECT_FALSE(pending[0].ready());
  pending[0].cancel();
  EXPECT_THAT(wait(pending, WaitFor::first).done, SizeIs(1)) << "a cancelled one is done";
  state->gated.gate.add();
}

// Row 197: wait-all-timeout.
TEST_F(WaitTest, EndsWhenTheTimeIsUp) {
  Pool pool(2);
  const std::vector results{pool.apply_async(square, 3), pool.apply_async(wait_for_gate, 1)};
  results[0].wait();
  auto [done, pending] = wait(results, WaitFor::all, 50ms);
  EXPECT_THAT(done, SizeIs(1));
  EXPECT_THAT(pending, SizeIs(1));
  EXPECT_THAT(wait(pending, WaitFor::first, 0ms).done, SizeIs(0));
  state->gated.gate.add();
  EXPECT_THAT(wait(results).done, SizeIs(2));
}

TEST_F(WaitTest, CountsFailuresAsResults) {
  Pool pool(2);
  const std::vector results{pool.apply_async(refuse, 3), pool.apply_async(square, 3)};
  EXPECT_THAT(wait(results).done, SizeIs(2));
  EXPECT_THROW(results[0].get(), std::runtime_error);
}

TEST_F(WaitTest, MayBeForResultsOfSeveralPools) {
  Options options{.workers = 1};
  Pool first(options);
  Pool second(options);
  const std::vector results{first.apply_async(wait_for_gate, 1), second.apply_async(square, 3)};
  auto [done, pending] = wait(results, WaitFor::first);
  EXPECT_THAT(done, SizeIs(1));
  state->gated.gate.add();
  EXPECT_THAT(wait(results).done, SizeIs(2));
}

TEST_F(WaitTest, NeedsNoHelperThread) {
  Pool pool(Options{.workers = 2, .helper_thread = false});
  std::vector<AsyncResult<std::vector<int>>> results;
  for (int i = 0; i < 10; ++i) results.push_back(pool.map_async(square, numbers(0, 100)));
  EXPECT_THAT(wait(results, WaitFor::first).done, SizeIs(::testing::Ge(1U)));
  EXPECT_THAT(wait(results).done, SizeIs(10));
}

TEST_F(WaitTest, EndsWhenAnotherThreadTerminatesThePool) {
  Pool pool(2);
  const std::vector results{pool.apply_async(wait_for_gate, 1), pool.apply_async(wait_for_gate, 2)};
  std::jthread other([&] {
    (void)state->gated.begun.reaches(2);
    pool.terminate();
  });
  EXPECT_THAT(wait(results).done, SizeIs(2));
}

TEST_F(WaitTest, IsOverAtOnceWhenThePoolIsGone) {
  std::vector<AsyncResult<int>> results;
  {
    Pool pool(1);
    results.push_back(pool.apply_async(wait_for_gate, 1));
  }
  EXPECT_THAT(wait(results).done, SizeIs(1));
}

TEST_F(WaitTest, MayBeInSeveralThreadsForTheSameResults) {
  Pool pool(2);
  std::vector<AsyncResult<int>> results;
  for (int x = 0; x < 200; ++x) results.push_back(pool.apply_async(square, x));
  std::vector<std::jthread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&, i] {
      if (i % 2 == 0) {
        EXPECT_THAT(wait(results).done, SizeIs(200));
      } else {
        int count = 0;
        for ([[maybe_unused]] const auto& result : as_completed(results)) ++count;
        EXPECT_EQ(count, 200);
      }
    });
  }
}

TEST_F(WaitTest, OfManyResultsGivesThemAsTheyCome) {
  Pool pool(2);
  std::vector<AsyncResult<int>> results{pool.apply_async(wait_for_gate, -1)};
  ASSERT_TRUE(state->gated.begun.reaches(1));
  for (int x = 0; x < 1000; ++x) results.push_back(pool.apply_async(square, x));
  int sum = 0;
  int count = 0;
  for (const AsyncResult<int>& result : as_completed(results)) {
    if (++count == 1001) {
      EXPECT_EQ(result.get(), -1);
      break;
    }
    sum += result.get();
    if (count == 1000) state->gated.gate.add();
  }
  EXPECT_EQ(sum, 332'833'500);
}

// Row 199: ac-dups.
TEST_F(WaitTest, GivesAResultThatIsThereThreeTimesOnce) {
  Pool pool(1);
  const auto result = pool.apply_async(square, 3);
  std::vector<int> values;
  for (const auto& each : as_completed(std::vector{result, result, result}))
    values.push_back(each.get());
  EXPECT_THAT(values, ElementsAre(9));
}

// Row 198: ac-timeout.
TEST_F(WaitTest, GivesWhatIsThereAndThenSaysWhatIsMissing) {
  Pool pool(3);
  const std::vector results{pool.apply_async(wait_for_gate, 1), pool.apply_async(square, 2),
                            pool.apply_async(wait_for_gate, 3), pool.apply_async(square, 4)};
  results[3].cancel();
  results[1].wait();
  results[3].wait();
  for (const auto limit : {0ms, 100ms}) {
    int count = 0;
    try {
      for ([[maybe_unused]] const auto& result : as_completed(results, limit)) ++count;
      ADD_FAILURE() << "all were there";
    } catch (const NotReady& error) {
      EXPECT_THAT(error.what(), HasSubstr("2 of 4 results are not there after"));
    }
    EXPECT_EQ(count, 2);
  }
  state->gated.gate.add();
}

TEST_F(WaitTest, GoesOnAfterATimeout) {
  Pool pool(2);
  const std::vector results{pool.apply_async(wait_for_gate, 7)};
  auto completed = as_completed(results, 10ms);
  EXPECT_THROW((void)completed.begin(), NotReady);
  state->gated.gate.add();
  results[0].wait();
  EXPECT_EQ(completed.begin()->get(), 7);
}

// Each of them counts what it is told.
TEST_F(WaitTest, ForgetsWhatItHasGivenUp) {
  Pool pool(1);
  const std::vector results{pool.apply_async(wait_for_gate, 7)};
  for (int i = 0; i < 1000; ++i) EXPECT_THAT(wait(results, WaitFor::all, 0ms).pending, SizeIs(1));
  auto dropped = std::optional(as_completed(results, 0ms));
  dropped.reset();
  state->gated.gate.add();
  EXPECT_THAT(wait(results).done, SizeIs(1));
}

TEST_F(WaitTest, WorksInline) {
  Pool pool(Options{.workers = 1, .inline_execution = true});
  const std::vector results{pool.apply_async(square, 3), pool.apply_async(square, 4)};
  EXPECT_THAT(wait(results).done, SizeIs(2));
  int sum = 0;
  for (const auto& result : as_completed(results)) sum += result.get();
  EXPECT_EQ(sum, 25);
}

TEST_F(WaitTest, DrivesSeveralPoolsThatHaveNoHelpers) {
  Pool first(Options{.workers = 1, .helper_thread = false});
  Pool second(Options{.workers = 1, .helper_thread = false});
  const std::vector results{first.apply_async(square, 2), second.apply_async(square, 3)};
  EXPECT_THAT(wait(results).done, SizeIs(2));
}

TEST_F(WaitTest, MayBeInACallbackForResultsOfSeveralPools) {
  Pool first(1);
  Pool second(Options{.workers = 1, .risk_locks_held_by_other_threads = true});
  test::Tally done;
  first.apply_async(square, 1).on_success([&](int) {
    const std::vector results{first.apply_async(square, 2), second.apply_async(square, 3)};
    EXPECT_THAT(wait(results).done, SizeIs(2));
    done.add();
  });
  EXPECT_TRUE(done.reaches(1));
}

TEST_F(WaitTest, GivesTheRestAfterATimeout) {
  Pool pool(1);
  std::vector results{pool.apply_async(square, 1), pool.apply_async(wait_for_gate, 2)};
  ASSERT_TRUE(state->gated.begun.reaches(1)) << "or the next call might come before it";
  results.push_back(pool.apply_async(square, 3));
  auto completed = as_completed(results, 50ms);
  std::vector<int> values;
  EXPECT_THROW(
      {
        for (const auto& result : completed) values.push_back(result.get());
      },
      NotReady);
  state->gated.gate.add();
  (void)wait(results);
  for (const auto& result : completed) values.push_back(result.get());
  EXPECT_THAT(values, ElementsAre(1, 2, 9));
}

TEST_F(WaitTest, GetsOnAlsoForWhoOnlyAsks) {
  Pool pool(Options{.workers = 1, .helper_thread = false});
  const std::vector results{pool.apply_async(square, 2)};
  EXPECT_TRUE(test::eventually([&] { return wait(results, WaitFor::all, 0ms).pending.empty(); }));
  const auto other = pool.apply_async(square, 3);
  EXPECT_TRUE(test::eventually([&] { return other.wait(0ms); }));
}

}  // namespace
}  // namespace bulkhead
