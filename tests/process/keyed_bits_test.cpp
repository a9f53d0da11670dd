// SPDX-License-Identifier: MIT
//
// Keyed jobs whose results depend on how values are bracketed: the same bits for any number of
// workers, whoever dies, and whatever workers did before.
#include "tests/support/keyed.hpp"
#include "tests/support/numbers.hpp"
#include "tests/support/sanitizer.hpp"
#include "tests/support/victims.hpp"
#include <bulkhead/by_key.hpp>
#include <bulkhead/pool.hpp>
#include <bulkhead/this_task.hpp>

#include <cstddef>
#include <cstdint>
#include <map>
#include <vector>

#include <gtest/gtest.h>

namespace bulkhead {
namespace {

using test::map_of;

class KeyedBitsTest : public test::KeyedTest {};

TEST_F(KeyedBitsTest, SumsHaveTheSameBitsHoweverOftenTablesAreFull) {
  // As many keys as fill a table a few times in each block.
  const auto scatter = [](int x, auto& emit) {
    for (int i = 0; i < 8; ++i) emit((x * 8 + i) % 20'011, 1.0 / (x + 1));
  };
  const KeyedOptions options{.memory = std::uint64_t{4} << 20, .commit_interval = 200'000};
  std::map<int, double> first;
  for (const int workers : {1, 2, 4}) {
    Pool pool(workers);
    auto sums =
        pool.map_reduce_by_key<int, double>(test::numbers(0, 60'000), scatter, sum, options);
    const std::map<int, double> all = map_of(sums);
    if (first.empty()) first = all;
    EXPECT_EQ(all, first) << workers;
    EXPECT_GT(sums.stats().runs, 8U) << workers;
  }
}

TEST_F(KeyedBitsTest, SumsHaveTheSameBitsForAnyNumberOfWorkersAndWhoeverDies) {
  const auto calmly = [](int x, auto& emit) { emit(x % 3, 1.0 / (x + 1)); };
  const auto with_deaths = [](int x, auto& emit) {
    if (x % 5000 == 777 && this_task::attempt() == 1) test::kills_itself(x);
    emit(x % 3, 1.0 / (x + 1));
  };
  // Small blocks, so that there are many partial sums.
  const KeyedOptions options{.commit_interval = 10'000};
  Pool pool(1);
  auto expected =
      pool.map_reduce_by_key<int, double>(test::numbers(0, 50'000), calmly, sum, options);
  const std::map<int, double> sums = map_of(expected);
  for (const int workers : {1, 3}) {
    Pool others(workers);
    auto calm =
        others.map_reduce_by_key<int, double>(test::numbers(0, 50'000), calmly, sum, options);
    EXPECT_EQ(map_of(calm), sums) << workers;
    auto disturbed =
        others.map_reduce_by_key<int, double>(test::numbers(0, 50'000), with_deaths, sum, options);
    EXPECT_EQ(map_of(disturbed), sums) << workers;
    EXPECT_EQ(disturbed.stats().retried, 10U);
  }
}

TEST_F(KeyedBitsTest, SumsOfVectorsHaveTheSameBitsWhateverTheHeapHasBeenUsedFor) {
  const auto scatter = [](int x, auto& emit) {
    for (int i = 0; i < 4; ++i) {
      const double value = 1.0 / (x + i + 1);
      emit((x * 4 + i) % 1013, std::vector<double>(static_cast<std::size_t>(8 + x % 3 * 8), value));
    }
  };
  const auto add = [](std::vector<double> a, const std::vector<double>& b) {
    if (a.size() < b.size()) a.resize(b.size());
    for (std::size_t i = 0; i < b.size(); ++i) a[i] += b[i];
    return a;
  };
  const KeyedOptions options{.memory = std::uint64_t{4} << 20};
  std::map<int, std::vector<double>> first;
  for (const int workers : {1, 2, 3}) {
    Options pool_options{.workers = workers};
    if (workers == 2) pool_options.max_tasks_per_worker = 1;  // each block has a new one
    Pool pool(pool_options);
    auto sums = pool.map_reduce_by_key<int, std::vector<double>>(test::numbers(0, 8'000), scatter,
                                                                 combine(add), options);
    const std::map<int, std::vector<double>> all = map_of(sums);
    if (first.empty()) first = all;
    EXPECT_EQ(all, first) << workers;
    EXPECT_GT(sums.stats().runs, 100U) << workers;
  }
}

TEST_F(KeyedBitsTest, SumsHaveTheSameBitsUnderLimitsOfMemory) {
  if (test::kSanitized) GTEST_SKIP() << "sanitizers need memory of their own";
  const auto scatter = [](int x, auto& emit) {
    for (int i = 0; i < 8; ++i) emit((x * 8 + i) % 200'003, 1.0 / (x + 1));
  };
  std::map<int, double> first;
  for (const int workers : {1, 2, 4}) {
    Pool pool({.workers = workers, .limits = {.memory = std::uint64_t{32} << 20}});
    auto sums = pool.map_reduce_by_key<int, double>(test::numbers(0, 100'000), scatter, sum);
    const std::map<int, double> all = map_of(sums);
    if (first.empty()) first = all;
    EXPECT_EQ(all, first) << workers;
  }
}

}  // namespace
}  // namespace bulkhead
