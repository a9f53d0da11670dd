// SPDX-License-Identifier: MIT
//
// The ledger under fire: workers are killed at random moments, and the books must still be right.
#include "tests/support/numbers.hpp"
#include "tests/support/process.hpp"
#include <bulkhead/pool.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <iterator>
#include <numeric>
#include <random>
#include <set>
#include <thread>
#include <unistd.h>
#include <utility>
#include <vector>

#include <gmock/gmock.h>

namespace bulkhead {
namespace {

using ::testing::SizeIs;
using ChaosTest = test::ProcessTest;

constexpr int kTasks = 20'000;

struct State {
  test::Tally begun;
  test::Tally over;
  std::array<std::atomic<std::uint8_t>, kTasks> runs;
  std::atomic<std::uint32_t> kills;
};
const test::Shared<State> state;

int work(int x) {
  state->runs[static_cast<std::size_t>(x)].fetch_add(1);
  state->begun.add();
  volatile int spin = 0;
  for (int i = 0; i < 20'000; ++i) spin = spin + 1;
  return x;
}

/// Kills some worker of `zygote` whenever as many tasks have begun as `moments` say.
void kill_at(pid_t zygote, std::vector<std::uint32_t> moments, unsigned seed) {
  std::minstd_rand random(seed);
  std::sort(moments.begin(), moments.end());
  for (const std::uint32_t moment : moments) {
    if (!state->begun.reaches(moment)) return;
    // Some deaths in a row of workers that are starting are taken for a fault of the initializer.
    const std::set<int> workers = test::placed_workers_under(zygote);
    if (workers.empty()) continue;
    auto victim = workers.begin();
    std::advance(victim, random() % workers.size());
    state->kills.fetch_add(1);
    test::kill_child_of(zygote, *victim);
  }
}

class SeedTest : public test::ProcessTest, public ::testing::WithParamInterface<unsigned> {};

INSTANTIATE_TEST_SUITE_P(Seeds, SeedTest, ::testing::Values(1U, 20'260'101U));

TEST_P(SeedTest, EachElementHasOneOutcomeAndNoneThatBeganRunsAgain) {
  state.reset();
  constexpr int kKills = 100;
  std::minstd_rand random(GetParam());
  std::vector<std::uint32_t> moments(kKills);
  for (std::uint32_t& moment : moments) {
    moment = static_cast<std::uint32_t>(random() % (kTasks - 1000));
  }
  Pool pool(3);
  const pid_t zygote = test::zygote_of(pool);
  std::thread killer(kill_at, zygote, moments, GetParam());
  const auto outcomes = pool.try_map(work, test::numbers(0, kTasks));
  killer.join();
  ASSERT_THAT(outcomes, SizeIs(kTasks));
  std::uint32_t failed = 0;
  for (int x = 0; x < kTasks; ++x) {
    const auto i = static_cast<std::size_t>(x);
    const int runs = state->runs[i].load();
    if (outcomes[i]) {
      ASSERT_EQ(*outcomes[i], x);
      ASSERT_EQ(runs, 1) << x << " was run again, or never";
    } else {
      ++failed;
      ASSERT_EQ(outcomes[i].failure().kind(), FailureKind::crashed);
      ASSERT_EQ(outcomes[i].failure().signal(), SIGKILL) << outcomes[i].failure().what();
      ASSERT_EQ(outcomes[i].failure().task(), i);
      ASSERT_LE(runs, 1) << x << " was run again";
    }
  }
  EXPECT_LE(failed, state->kills.load()) << "a death has cost more than one task";
  EXPECT_GE(failed, 1U) << "nothing was hit: the test tests nothing";
  EXPECT_GE(state->kills.load(), static_cast<std::uint32_t>(kKills) / 2);
  std::printf("seed %u: %u workers killed, %u tasks failed\n", GetParam(), state->kills.load(),
              failed);
}

/// The sums of neighbours; those whose worker is killed are asked for again.
std::vector<int> add_pairs(Pool& pool, const std::vector<int>& numbers) {
  std::vector<int> sums(numbers.size() / 2);
  std::vector<std::size_t> missing(sums.size());
  std::iota(missing.begin(), missing.end(), std::size_t{0});
  while (!missing.empty()) {
    std::vector<std::pair<int, int>> pairs;
    for (const std::size_t i : missing) pairs.emplace_back(numbers[2 * i], numbers[2 * i + 1]);
    const auto outcomes = pool.try_map(
        [](const std::pair<int, int>& pair) { return work(0) + pair.first + pair.second; }, pairs);
    std::vector<std::size_t> failed;
    for (std::size_t k = 0; k < missing.size(); ++k) {
      if (outcomes[k]) {
        sums[missing[k]] = *outcomes[k];
      } else {
        failed.push_back(missing[k]);
      }
    }
    missing = std::move(failed);
  }
  return sums;
}

// Row 83: die-mid-computation.
TEST_F(ChaosTest, ATreeSumComesOutRightThoughWorkersAreKilled) {
  state.reset();
  Pool pool(3);
  std::vector<int> numbers(256);
  std::iota(numbers.begin(), numbers.end(), 0);
  std::thread killer(kill_at, test::zygote_of(pool), std::vector<std::uint32_t>{40, 180}, 5U);
  while (numbers.size() > 1) numbers = add_pairs(pool, numbers);
  killer.join();
  EXPECT_EQ(numbers[0], 255 * 256 / 2);
  EXPECT_EQ(state->kills.load(), 2U);
}

}  // namespace
}  // namespace bulkhead
