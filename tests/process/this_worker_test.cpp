// SPDX-License-Identifier: MIT
//
// What tasks can ask about themselves and their workers, and what they can keep there.
#include "tests/support/numbers.hpp"
#include "tests/support/process.hpp"
#include "tests/support/shared.hpp"
#include "tests/support/victims.hpp"
#include <bulkhead/fork_map.hpp>
#include <bulkhead/pool.hpp>
#include <bulkhead/this_task.hpp>
#include <bulkhead/this_worker.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include <gmock/gmock.h>

namespace bulkhead {
namespace {

using test::numbers;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::SizeIs;
using ThisWorkerTest = test::ProcessTest;
using SeedTest = test::ProcessTest;

struct State {
  std::array<std::atomic<int>, 4> begun;
  std::array<std::atomic<int>, 4> ended;
  test::Tally made;
};
const test::Shared<State> state;

template <class Counts>
void note_number(Counts& counts) {
  ++counts[static_cast<std::size_t>(this_worker::number())];
}

std::uint64_t seed_of_task(int) {
  return this_task::seed();
}
std::uint64_t index_of_task(const std::string&) {
  return this_task::index();
}

TEST_F(ThisWorkerTest, KnowsItsNumber) {
  state.reset();
  EXPECT_EQ(this_worker::number(), -1);
  Pool pool(Options{.workers = 3,
                    .initializer = [] { note_number(state->begun); },
                    .finalizer = [] { note_number(state->ended); }});
  const auto seen = pool.map([](int) { return this_worker::number(); }, numbers(0, 1000));
  EXPECT_THAT(seen, Each(::testing::AllOf(::testing::Ge(0), ::testing::Lt(3))));
  pool.close();
  pool.join();
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(state->begun[i], 1) << i;
    EXPECT_EQ(state->ended[i], 1) << i;
  }
}

TEST_F(ThisWorkerTest, HandsItsNumberOnToItsSuccessor) {
  Pool pool(1);
  const auto number = [] { return this_worker::number(); };
  EXPECT_EQ(pool.apply(number), 0);
  EXPECT_FALSE(pool.try_map(test::kills_itself, {0}).at(0));
  EXPECT_EQ(pool.apply(number), 0);
}

TEST_F(ThisWorkerTest, OfAPoolInATaskHasANumberThere) {
  Pool pool(3);
  const auto nested = [](int) {
    const int outer = this_worker::number();
    Pool inner(1);
    return inner.apply([] { return this_worker::number(); }) == 0 && this_worker::number() == outer;
  };
  EXPECT_THAT(pool.map(nested, numbers(0, 6)), Each(true));
}

struct Counter {
  Counter() { state->made.add(); }
  int value = 0;
};

TEST_F(ThisWorkerTest, KeepsSomethingOfItsOwn) {
  state.reset();
  worker_local<Counter>().value = 1000;  // the host's own
  Pool pool(2);
  const auto count = [](int) { return ++worker_local<Counter>().value; };
  const auto counts = pool.map(count, numbers(0, 500));
  EXPECT_LE(*std::max_element(counts.begin(), counts.end()), 500);
  EXPECT_EQ(worker_local<Counter>().value, 1000);
  EXPECT_LE(state->made.value(), 3U);
  pool.map([](int) { worker_local<std::string>([] { return "made"; }); }, numbers(0, 10));
}

TEST_F(SeedTest, IsTheSameWhateverHappens) {
  const std::vector<std::uint64_t> seeds = Pool(1).map(seed_of_task, numbers(0, 500));
  EXPECT_THAT(std::set(seeds.begin(), seeds.end()), SizeIs(500));
  EXPECT_EQ(Pool(3).map(seed_of_task, numbers(0, 500)), seeds);
  EXPECT_EQ(
      Pool(Options{.workers = 1, .inline_execution = true}).map(seed_of_task, numbers(0, 500)),
      seeds);
  const auto fail_at_first = [](int x) {
    if (x % 50 == 7 && this_task::attempt() == 1) test::kills_itself(x);
    return this_task::seed();
  };
  EXPECT_EQ(Pool(2).map(fail_at_first, numbers(0, 500), CallOptions{.retries = {.crashes = 1}}),
            seeds);
}

TEST_F(SeedTest, IsAnotherOneInACallWithAnotherSeed) {
  Pool pool(2);
  const auto first = pool.map(seed_of_task, numbers(0, 100));
  const auto second = pool.map(seed_of_task, numbers(0, 100), CallOptions{.seed = 1});
  const auto third = pool.map(seed_of_task, numbers(0, 100), CallOptions{.seed = 2});
  std::set<std::uint64_t> all(first.begin(), first.end());
  all.insert(second.begin(), second.end());
  all.insert(third.begin(), third.end());
  EXPECT_THAT(all, SizeIs(300));
  EXPECT_EQ(pool.map(seed_of_task, numbers(0, 100)), first);
  EXPECT_EQ(pool.map(seed_of_task, numbers(0, 100), CallOptions{.seed = 2}), third);
}

TEST_F(SeedTest, OfSingleCallsIsThatOfTheFirstElement) {
  Pool pool(2);
  const std::uint64_t first = pool.map(seed_of_task, {1}).at(0);
  EXPECT_EQ(pool.apply(seed_of_task, 1), first);
  std::vector<AsyncResult<std::uint64_t>> results;
  for (int i = 0; i < 100; ++i) results.push_back(pool.apply_async(seed_of_task, i));
  for (const auto& result : results) EXPECT_EQ(result.get(), first);
}

TEST_F(SeedTest, BelongsToTheIndexWhichTasksKnow) {
  EXPECT_EQ(this_task::index(), 0U);
  Pool pool(2);
  const std::vector<std::string> words(100, "word");
  const auto indices = pool.map(index_of_task, words);
  for (std::size_t i = 0; i < 100; ++i) EXPECT_EQ(indices[i], i);
  std::vector<std::uint64_t> streamed;
  for (const std::uint64_t index : pool.imap(index_of_task, words)) streamed.push_back(index);
  EXPECT_EQ(streamed, indices);
  const auto run = [](int) { return this_task::index(); };
  EXPECT_THAT(fork_map(run, numbers(5, 8)), ElementsAre(0, 1, 2));
}

TEST_F(ThisWorkerTest, KeepsOneThingOfAType) {
  Pool pool(Options{.workers = 2, .initializer = [] {
                      worker_local<std::string>([] { return "made in the initializer"; });
                    }});
  const auto look = [](int) { return worker_local<std::string>(); };
  EXPECT_THAT(pool.map(look, numbers(0, 20)), Each("made in the initializer"));
}

}  // namespace
}  // namespace bulkhead
