// SPDX-License-Identifier: MIT
//
// Keyed map-reduce: reducers, types, and the same result for any number of workers.
#include "tests/support/keyed.hpp"
#include "tests/support/numbers.hpp"
#include "tests/support/thrown.hpp"
#include <bulkhead/by_key.hpp>
#include <bulkhead/partial.hpp>
#include <bulkhead/pool.hpp>
#include <bulkhead/this_task.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <numeric>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gmock/gmock.h>

namespace bulkhead {
namespace {

using test::count_plainly;
using test::count_words;
using test::Counts;
using test::kCountInOrder;
using test::kCountWords;
using test::map_of;
using test::pairs_of;
using test::random_text;
using test::scarce;
using ::testing::HasSubstr;

class ByKeyTest : public test::KeyedTest {};

TEST_F(ByKeyTest, CountsTheWordsOfAText) {
  const std::string path = write("text", "to be or not\nto be");
  Pool pool(2);
  EXPECT_EQ(count_words(pool, text(path)), (Counts{{"to", 2}, {"be", 2}, {"or", 1}, {"not", 1}}));
}

TEST_F(ByKeyTest, GivesTheSameInTheSameOrderForAnyNumberOfWorkersAndAnyMemory) {
  const std::string content = random_text(2'000'000);
  const std::string path = write("text", content);
  std::vector<std::pair<std::string, std::uint64_t>> first;
  for (const int workers : {1, 2, 5}) {
    Pool pool(workers);
    for (const std::uint64_t memory : {std::uint64_t{1} << 20, std::uint64_t{1} << 30}) {
      const KeyedOptions options{.memory = memory, .commit_interval = 300'000};
      auto result =
          pool.map_reduce_by_key<std::string, std::uint64_t>(text(path), kCountWords, sum, options);
      const auto pairs = pairs_of(result);
      if (first.empty()) first = pairs;
      EXPECT_EQ(pairs, first) << workers << " workers, " << memory << " bytes";
    }
  }
  EXPECT_EQ(Counts(first.begin(), first.end()), count_plainly(content));
}

TEST_F(ByKeyTest, KeysAndValuesMayBeOfOtherTypes) {
  const std::string path = write("text", "1 2 3 4 5 6 7 8 9 10\n");
  Pool pool(2);
  const auto by_rest = [](std::string_view lines, auto& emit) {
    for (const std::string_view word : words(lines)) {
      const int n = std::atoi(std::string(word).c_str());
      emit(n % 3, n);
    }
  };
  auto sums = pool.map_reduce_by_key<int, int>(text(path), by_rest, sum);
  EXPECT_EQ(map_of(sums), (std::map<int, int>{{0, 18}, {1, 22}, {2, 15}}));
  auto least = pool.map_reduce_by_key<int, int>(text(path), by_rest, min);
  EXPECT_EQ(map_of(least), (std::map<int, int>{{0, 3}, {1, 1}, {2, 2}}));
  const auto texts = [](std::string_view lines, auto& emit) {
    for (const std::string_view word : words(lines))
      emit(std::pair(word.size(), std::string(20, 'k')), std::string("v"));
  };
  auto joined = pool.map_reduce_by_key<std::pair<std::size_t, std::string>, std::string>(
      text(path), texts, sum);
  using Joined = std::map<std::pair<std::size_t, std::string>, std::string>;
  EXPECT_EQ(map_of(joined), (Joined{{{1, std::string(20, 'k')}, std::string(9, 'v')},
                                    {{2, std::string(20, 'k')}, "v"}}));
}

int larger(int a, int b) {
  return a > b ? a : b;
}

TEST_F(ByKeyTest, CombinesByFunctionsOfTheUser) {
  Pool pool(2);
  const auto by_rest = [](int x, auto& emit) { emit(x % 3, x); };
  const std::map<int, int> expected{{0, 99}, {1, 97}, {2, 98}};
  auto by_function =
      pool.map_reduce_by_key<int, int>(test::numbers(0, 100), by_rest, combine(larger));
  EXPECT_EQ(map_of(by_function), expected);
  const auto lambda = [](int a, int b) { return a > b ? a : b; };
  auto by_lambda =
      pool.map_reduce_by_key<int, int>(test::numbers(0, 100), by_rest, combine(lambda));
  EXPECT_EQ(map_of(by_lambda), expected);
  const auto scaled = [](int factor, int a, int b) { return factor * larger(a, b) / factor; };
  auto bound =
      pool.map_reduce_by_key<int, int>(test::numbers(0, 100), by_rest, combine(partial(scaled, 5)));
  EXPECT_EQ(map_of(bound), expected);
}

TEST_F(ByKeyTest, CountsValuesOfAnyKind) {
  Pool pool(2);
  const auto names = [](int x, auto& emit) { emit(x % 3, std::to_string(x)); };
  auto counts =
      pool.map_reduce_by_key<int, std::uint64_t>(test::numbers(0, 100), names, ::bulkhead::count);
  EXPECT_EQ(map_of(counts), (std::map<int, std::uint64_t>{{0, 34}, {1, 33}, {2, 33}}));
}

TEST_F(ByKeyTest, MakesTheResultOfAKeyOfItsValue) {
  Pool pool(2);
  using Mean = std::pair<double, std::uint64_t>;
  const auto by_rest = [](int x, auto& emit) { emit(x % 2, Mean(x, 1)); };
  const auto add = [](Mean a, Mean b) { return Mean(a.first + b.first, a.second + b.second); };
  const auto mean = [](int rest, Mean all) {
    return std::to_string(rest) + ": " +
           std::to_string(static_cast<int>(all.first / static_cast<double>(all.second)));
  };
  auto means =
      pool.map_reduce_by_key<int, Mean>(test::numbers(0, 101), by_rest, finish(combine(add), mean));
  EXPECT_EQ(map_of(means), (std::map<int, std::string>{{0, "0: 50"}, {1, "1: 50"}}));
}

TEST_F(ByKeyTest, CombinesInTheOrderOfTheInput) {
  const auto by_rest = [](int x, auto& emit) { emit(x % 3, std::to_string(x) + ' '); };
  const auto join = [](std::string a, const std::string& b) { return std::move(a) + b; };
  std::map<int, std::string> expected;
  for (int x = 0; x < 30'000; ++x) expected[x % 3] += std::to_string(x) + ' ';
  for (const int workers : {1, 3}) {
    Pool pool(workers);
    auto joined = pool.map_reduce_by_key<int, std::string>(test::numbers(0, 30'000), by_rest,
                                                           combine(join), scarce());
    EXPECT_EQ(map_of(joined), expected);
  }
}

TEST_F(ByKeyTest, GroupsAllValuesOfAKeyInTheOrderOfTheInput) {
  const std::string content = random_text(1'000'000);
  const std::string path = write("text", content);
  const auto with_places = [](std::string_view lines, auto& emit) {
    for (const std::string_view word : words(lines)) emit(word, this_task::index());
  };
  const auto collect = [](const std::string&, Values<std::uint64_t>& places) {
    std::vector<std::uint64_t> all;
    for (const std::uint64_t place : places) all.push_back(place);
    return all;
  };
  std::map<std::string, std::vector<std::uint64_t>> first;
  for (const int workers : {1, 3}) {
    Pool pool(workers);
    auto all = pool.map_reduce_by_key<std::string, std::uint64_t>(
        text(path, {.split = 10'000}), with_places, group(collect), scarce());
    EXPECT_GT(all.stats().runs, 10U);
    const auto map = map_of(all);
    for (const auto& [word, places] : map) EXPECT_TRUE(std::ranges::is_sorted(places)) << word;
    if (first.empty()) first = map;
    EXPECT_EQ(map, first);
  }
  for (const auto& [word, times] : count_plainly(content)) EXPECT_EQ(first[word].size(), times);
}

TEST_F(ByKeyTest, GroupsValuesThatAreNotPlain) {
  Pool pool(2);
  const auto texts = [](int x, auto& emit) {
    emit(std::string(static_cast<std::size_t>(x % 3) * 20, 'k'), std::to_string(x));
  };
  const auto join = [](const std::string&, auto& values) {
    std::string all;
    for (const std::string& value : values) all += value + ' ';
    return all;
  };
  auto joined = pool.map_reduce_by_key<std::string, std::string>(test::numbers(0, 10'000), texts,
                                                                 group(join), scarce());
  std::map<std::string, std::string> expected;
  for (int x = 0; x < 10'000; ++x)
    expected[std::string(static_cast<std::size_t>(x % 3) * 20, 'k')] += std::to_string(x) + ' ';
  EXPECT_EQ(map_of(joined), expected);
}

TEST_F(ByKeyTest, AGroupNeedNotBeReadToItsEnd) {
  Pool pool(2);
  const auto by_rest = [](int x, auto& emit) { emit(x % 7, x); };
  const auto first = [](int, Values<int>& values) { return *values.begin(); };
  const auto none = [](int rest, Values<int>&) { return -rest; };
  auto firsts = pool.map_reduce_by_key<int, int>(test::numbers(0, 1000), by_rest, group(first));
  auto nones = pool.map_reduce_by_key<int, int>(test::numbers(0, 1000), by_rest, group(none));
  std::map<int, int> expected;
  for (int rest = 0; rest < 7; ++rest) expected[rest] = rest;
  EXPECT_EQ(map_of(firsts), expected);
  for (auto& [rest, value] : expected) value = -rest;
  EXPECT_EQ(map_of(nones), expected);
}

/// g++ 12 could not compile this.
template <std::uint64_t kMib>
Counts count_in(Pool& pool, const std::string& path) {
  return count_words(pool, text(path), {.memory = kMib << 20});
}
TEST_F(ByKeyTest, OptionsCanBeNamedInATemplate) {
  Pool pool(1);
  EXPECT_EQ(count_in<1>(pool, write("text", "a b a")), (Counts{{"a", 2}, {"b", 1}}));
}

TEST_F(ByKeyTest, AKeyMayHaveMoreValuesThanThereIsMemoryFor) {
  constexpr int kValues = 400'000;
  const auto one_key = [](int x, auto& emit) {
    emit(x % 1000 == 0 ? x : -1, std::to_string(x) + " is one of many values");
  };
  Pool pool(2);
  auto numbers = pool.map_reduce_by_key<int, std::string>(test::numbers(0, kValues), one_key,
                                                          group(kCountInOrder), scarce());
  const std::map<int, int> all = map_of(numbers);
  EXPECT_EQ(all.size(), 401U);
  EXPECT_EQ(all.at(-1), kValues - 400);
  EXPECT_EQ(all.at(5000), 1);
  EXPECT_LT(numbers.stats().peak_bytes, std::uint64_t{4} << 20);
  EXPECT_GT(numbers.stats().spilled_bytes, std::uint64_t{10} << 20);
}

TEST_F(ByKeyTest, AKeyMayBeAnEmptyViewAndAValueAView) {
  Pool pool(1);
  const auto views = [](int x, auto& emit) {
    emit(x % 2 == 0 ? std::string_view() : std::string_view("odd"), std::string_view("value"));
  };
  const auto rest = [](const std::string&, Values<std::string>& values) {
    for (const std::string& value : values) {
      if (!value.empty()) break;
    }
    return values.to_vector().size();
  };
  auto sizes =
      pool.map_reduce_by_key<std::string, std::string>(test::numbers(0, 10), views, group(rest));
  EXPECT_EQ(map_of(sizes), (std::map<std::string, std::size_t>{{"", 4}, {"odd", 4}}));
  auto last = pool.map_reduce_by_key<std::string, std::string>(test::numbers(0, 10), views, max);
  EXPECT_EQ(map_of(last), (std::map<std::string, std::string>{{"", "value"}, {"odd", "value"}}));
}

struct Bins {
  std::array<int, 100'000> counts;
};

TEST_F(ByKeyTest, PlainValuesMayBeTooLargeForABatchOnTheStack) {
  const auto one_bin = [](int x, auto& emit) {
    static Bins bins{};
    bins.counts.at(static_cast<std::size_t>(x)) = 1;
    emit(x % 2, bins);
    bins.counts.at(static_cast<std::size_t>(x)) = 0;
  };
  const auto add = [](Bins all, const Bins& more) {
    for (std::size_t i = 0; i < all.counts.size(); ++i) all.counts[i] += more.counts[i];
    return all;
  };
  Pool pool(2);
  auto bins = pool.map_reduce_by_key<int, Bins>(test::numbers(0, 50), one_bin, combine(add));
  for (const auto& [key, value] : bins)
    EXPECT_EQ(std::accumulate(value.counts.begin(), value.counts.end(), 0), 25) << key;
}

TEST_F(ByKeyTest, ValuesThatAreGoneThroughTwiceAreAnError) {
  const auto spread = [](int, Values<int>& values) {
    int sum = 0;
    for (const int value : values) sum += value;
    for (const int value : values) sum -= value;
    return sum;
  };
  const auto kept_too_late = [](int, Values<int>& values) {
    for (const int value : values) static_cast<void>(value);
    return values.to_vector().size();
  };
  const auto one_key = [](int x, auto& emit) { emit(1, x); };
  Pool pool(1);
  const auto error_of = [&](auto function) {
    return test::text_of<std::exception>([&] {
      (void)pool.map_reduce_by_key<int, int>(test::numbers(0, 10), one_key, group(function));
    });
  };
  EXPECT_THAT(error_of(spread), HasSubstr("can be gone through once"));
  EXPECT_THAT(error_of(kept_too_late), HasSubstr("to_vector()"));
}

TEST_F(ByKeyTest, ThereIsOneZero) {
  Pool pool(1);
  const auto by_sign = [](int x, auto& emit) { emit(x % 2 == 0 ? 0.0 : -0.0); };
  const auto counts = pool.map_reduce_by_key<double, int>(test::numbers(0, 10), by_sign, sum);
  EXPECT_EQ((*counts.begin()).second, 10);
}

}  // namespace
}  // namespace bulkhead
