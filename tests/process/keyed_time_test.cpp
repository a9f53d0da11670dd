// SPDX-License-Identifier: MIT
//
// Keyed jobs whose elements or keys take long: time limits, and work that is shared.
#include "tests/support/keyed.hpp"
#include "tests/support/numbers.hpp"
#include "tests/support/thrown.hpp"
#include "tests/support/victims.hpp"
#include <bulkhead/by_key.hpp>
#include <bulkhead/pool.hpp>
#include <bulkhead/this_task.hpp>
#include <bulkhead/this_worker.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <sstream>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <gmock/gmock.h>

namespace bulkhead {
namespace {

using test::map_of;
using ::testing::HasSubstr;

class KeyedTimeTest : public test::KeyedTest {};

TEST_F(KeyedTimeTest, ATimeLimitIsThatOfAnElement) {
  Pool pool(2);
  const auto hang_once = [](int x, auto& emit) {
    while (x == 12) std::this_thread::sleep_for(std::chrono::hours(1));
    emit(x % 2);
  };
  KeyedOptions options{.skip_failed = true};
  options.call.timeout = std::chrono::milliseconds(500);
  auto counts = pool.map_reduce_by_key<int, int>(test::numbers(0, 20), hang_once, sum, options);
  EXPECT_EQ(map_of(counts), (std::map<int, int>{{0, 9}, {1, 10}}));
  ASSERT_EQ(counts.skipped().size(), 1U);
  EXPECT_EQ(counts.skipped()[0].kind(), FailureKind::timed_out);
}

/// So many numbers whose hashes begin alike.
std::vector<int> keys_of_a_partition(std::size_t count) {
  std::vector<int> keys;
  for (int key = 0; keys.size() != count; ++key) {
    const std::string_view bytes(reinterpret_cast<const char*>(&key), sizeof key);
    if (detail::hash_of(bytes) >> 58 == 0) keys.push_back(key);
  }
  return keys;
}

TEST_F(KeyedTimeTest, EachKeyHasTheTimeLimitToItself) {
  Pool pool(1);
  const auto emit_it = [](int x, auto& emit) { emit(x, 1); };
  const auto slowly = [](const int&, int value) {
    std::this_thread::sleep_for(std::chrono::milliseconds(40));
    return value;
  };
  KeyedOptions options;
  options.call.timeout = std::chrono::milliseconds(400);
  // One worker reduces them all, one after the other.
  const std::vector<int> keys = keys_of_a_partition(25);
  auto sums = pool.map_reduce_by_key<int, int>(keys, emit_it, finish(sum, slowly), options);
  EXPECT_EQ(map_of(sums).size(), 25U);
  const auto hang = [](const int& key, Values<int>&) {
    while (key == 7) std::this_thread::sleep_for(std::chrono::hours(1));
    return key;
  };
  const auto message = test::text_of<TimeoutError>([&] {
    pool.map_reduce_by_key<int, int>(test::numbers(0, 100), emit_it, group(hang), options);
  });
  EXPECT_THAT(message, HasSubstr("it ran for longer than 400 ms"));
  EXPECT_THAT(message, HasSubstr("at the key 7"));
}

/// Emits the worker that it is at, after a while.
constexpr auto kSlowly = [](int, auto& emit) {
  std::this_thread::sleep_for(std::chrono::milliseconds(40));
  emit(this_worker::number());
};

TEST_F(KeyedTimeTest, SlowElementsAreSharedByAllWorkers) {
  Pool pool(2);
  auto counts = pool.map_reduce_by_key<int, int>(test::numbers(0, 24), kSlowly, sum);
  auto exact = map_of(counts);
  EXPECT_GT(exact[0], 2) << "the other one did it all";
  EXPECT_GT(exact[1], 2) << "the other one did it all";
  EXPECT_EQ(exact[0] + exact[1], 24);
  const auto add = [](int a, int b) { return a + b; };
  auto sums = pool.map_reduce_by_key<int, int>(test::numbers(0, 24), kSlowly, combine(add));
  auto inexact = map_of(sums);
  EXPECT_GT(inexact[0], 2) << "the other one did it all";
  EXPECT_GT(inexact[1], 2) << "the other one did it all";
  EXPECT_EQ(inexact[0] + inexact[1], 24);
}

TEST_F(KeyedTimeTest, SlowElementsAreSharedThoughTheyLieSideBySide) {
  constexpr int kSlow = 40;
  const auto some_slowly = [](int x, auto& emit) {
    const bool is_slow = x >= 5000 && x < 5000 + kSlow;
    if (is_slow) std::this_thread::sleep_for(std::chrono::milliseconds(50));
    emit(is_slow ? this_worker::number() : -1);
  };
  Pool pool(2);
  auto counts = pool.map_reduce_by_key<int, int>(test::numbers(0, 100'000), some_slowly, sum);
  auto by_worker = map_of(counts);
  EXPECT_GT(by_worker[0], 6) << "the other one did nearly all";
  EXPECT_GT(by_worker[1], 6) << "the other one did nearly all";
  EXPECT_EQ(by_worker[0] + by_worker[1], kSlow);
  EXPECT_EQ(by_worker[-1], 100'000 - kSlow);
}

TEST_F(KeyedTimeTest, LinesOfAShortTextAreSharedByAllWorkers) {
  const auto slowly = [](std::string_view some, auto& emit) {
    for (const std::string_view line : lines(some)) {
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
      emit(this_worker::number(), static_cast<int>(line.size()));
    }
  };
  const std::string content = "1\n2\n3\n4\n5\n6\n7\n8\n9\n10";
  const std::string path = write("parameters", content);
  Pool pool(2);
  std::istringstream stream(content);
  for (int i = 0; i < 2; ++i) {
    auto sums = i == 0 ? pool.map_reduce_by_key<int, int>(text(path), slowly, sum)
                       : pool.map_reduce_by_key<int, int>(text(stream), slowly, sum);
    auto by_worker = map_of(sums);
    EXPECT_GT(by_worker[0], 1);
    EXPECT_GT(by_worker[1], 1);
    EXPECT_EQ(by_worker[0] + by_worker[1], 11);
  }
}

TEST_F(KeyedTimeTest, WhatWasDividedIsCountedOnceInTheOrderOfTheInput) {
  Pool pool(3);
  const auto in_order = [](const int&, Values<int>& values) {
    std::vector<int> all;
    for (const int value : values) all.push_back(value);
    return all;
  };
  const auto slowly = [](int x, auto& emit) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
    if (x % 17 == 5 && this_task::attempt() == 1) test::kills_itself(x);
    emit.count("elements");
    emit(0, x);
  };
  const std::vector<int> numbers = test::numbers(0, 60);
  auto lists = pool.map_reduce_by_key<int, int>(numbers, slowly, group(in_order));
  EXPECT_EQ(map_of(lists), (std::map<int, std::vector<int>>{{0, numbers}}));
  EXPECT_EQ(lists.counters().at("elements"), 60U);
}

TEST_F(KeyedTimeTest, EachElementHasTheTimeLimitToItself) {
  Pool pool(2);
  const auto slowly = [](int x, auto& emit) {
    while (x == 20) std::this_thread::sleep_for(std::chrono::hours(1));
    std::this_thread::sleep_for(std::chrono::milliseconds(40));
    emit(0);
  };
  KeyedOptions options;
  options.call.timeout = std::chrono::milliseconds(600);
  options.retries.timeouts = 1;
  options.skip_failed = true;
  auto counts = pool.map_reduce_by_key<int, int>(test::numbers(0, 60), slowly, sum, options);
  EXPECT_EQ(map_of(counts), (std::map<int, int>{{0, 59}}));
  ASSERT_EQ(counts.skipped().size(), 1U);
  EXPECT_EQ(counts.skipped()[0].task(), 20U);
  EXPECT_EQ(counts.skipped()[0].kind(), FailureKind::timed_out);
}

TEST_F(KeyedTimeTest, EachElementHasTheTimeLimitToItselfInline) {
  Pool pool(Options{.workers = 1, .inline_execution = true});
  const auto ask = [](int, auto& emit) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    if (!this_task::stop_requested()) emit(0);
  };
  KeyedOptions options;
  options.call.timeout = std::chrono::milliseconds(200);
  auto counts = pool.map_reduce_by_key<int, int>(test::numbers(0, 20), ask, sum, options);
  EXPECT_EQ(map_of(counts), (std::map<int, int>{{0, 20}}));
}

TEST_F(KeyedTimeTest, EachCallOfACombinerHasTheTimeLimitToItselfWhenKeysAreReduced) {
  Pool pool(1);
  const auto emit_it = [](int x, auto& emit) { emit(0, x); };
  const auto slowly = [](int a, int b) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    return a + b;
  };
  KeyedOptions options;
  options.call.timeout = std::chrono::milliseconds(400);
  // Each element is a block, and so a value of its own: they are combined in the end.
  auto sums =
      pool.map_reduce_by_key<int, int>(test::numbers(0, 40), emit_it, combine(slowly), options);
  EXPECT_EQ(map_of(sums), (std::map<int, int>{{0, 780}}));
}

TEST_F(KeyedTimeTest, FunctionsOfKeysHaveTheSameSeedsForAnyNumberOfWorkers) {
  const auto emit_it = [](int x, auto& emit) { emit(x % 100, 1); };
  const auto seed = [](const int&, int) { return this_task::seed() + this_task::index(); };
  std::map<int, std::uint64_t> first;
  for (const int workers : {1, 2}) {
    Pool pool(workers);
    auto seeds =
        pool.map_reduce_by_key<int, int>(test::numbers(0, 10'000), emit_it, finish(sum, seed));
    const std::map<int, std::uint64_t> all = map_of(seeds);
    if (first.empty()) first = all;
    EXPECT_EQ(all, first);
  }
}

TEST_F(KeyedTimeTest, ATimeLimitLeavesTheRetriesAsTheyAre) {
  Pool pool(1);
  const auto die_once = [](int x, auto& emit) {
    if (x == 7 && this_task::attempt() == 1) test::kills_itself(x);
    emit(0);
  };
  KeyedOptions options;
  options.call.timeout = std::chrono::minutes(1);
  auto counts = pool.map_reduce_by_key<int, int>(test::numbers(0, 10), die_once, sum, options);
  EXPECT_EQ(map_of(counts), (std::map<int, int>{{0, 10}}));
}

}  // namespace
}  // namespace bulkhead
