// SPDX-License-Identifier: MIT
//
// Keyed map-reduce: every pair is counted once, whoever has mapped it and whoever dies meanwhile.
#include "tests/support/numbers.hpp"
#include "tests/support/process.hpp"
#include "tests/support/thrown.hpp"
#include "tests/support/victims.hpp"
#include <bulkhead/by_key.hpp>
#include <bulkhead/partial.hpp>
#include <bulkhead/pool.hpp>
#include <bulkhead/this_task.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <map>
#include <random>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <gmock/gmock.h>

namespace bulkhead {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using Counts = std::map<std::string, std::uint64_t>;

class ByKeyTest : public test::ProcessTest {
 protected:
  void SetUp() override {
    ProcessTest::SetUp();
    std::array<char, 32> name{"/tmp/bulkhead-test-XXXXXX"};
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    folder_ = name.data();
  }
  void TearDown() override {
    std::filesystem::remove_all(folder_);
    ProcessTest::TearDown();
  }

  std::string write(const std::string& name, const std::string& text) {
    const std::string path = folder_ / name;
    std::ofstream(path, std::ios::binary) << text;
    return path;
  }

  std::filesystem::path folder_;
};

constexpr auto kCountWords = [](std::string_view lines, auto& emit) {
  for (const std::string_view word : words(lines)) emit(word);
};

std::string random_text(std::size_t size) {
  std::minstd_rand random(1);
  std::string text;
  while (text.size() < size) {
    const auto length = 1 + random() % (random() % 100 == 0 ? 60 : 9);
    for (std::size_t i = 0; i < length; ++i) text += static_cast<char>('a' + random() % 4);
    text += random() % 9 == 0 ? '\n' : ' ';
  }
  return text;
}
Counts count_plainly(std::string_view text) {
  Counts counts;
  for (const std::string_view word : words(text)) ++counts[std::string(word)];
  return counts;
}
template <class K, class V>
std::vector<std::pair<K, V>> pairs_of(KeyedResult<K, V>& result) {
  std::vector<std::pair<K, V>> pairs;
  for (const auto& pair : result) pairs.push_back(pair);
  return pairs;
}
/// Each key of it once.
template <class K, class V>
std::map<K, V> map_of(KeyedResult<K, V>& result) {
  std::map<K, V> all;
  for (const auto& [key, value] : result) EXPECT_TRUE(all.emplace(key, value).second);
  return all;
}
Counts count(Pool& pool, const TextInput& input, const KeyedOptions& options = {}) {
  auto result =
      pool.map_reduce_by_key<std::string, std::uint64_t>(input, kCountWords, sum, options);
  return map_of(result);
}

TEST_F(ByKeyTest, CountsTheWordsOfAText) {
  const std::string path = write("text", "to be or not\nto be");
  Pool pool(2);
  EXPECT_EQ(count(pool, text(path)), (Counts{{"to", 2}, {"be", 2}, {"or", 1}, {"not", 1}}));
}

TEST_F(ByKeyTest, EachLineIsOfOneSplitWhereverTheSplitsBegin) {
  const std::string content = random_text(20'000);
  const std::string path = write("text", content);
  Pool pool(2);
  for (const std::uint64_t split : {1U, 7U, 100U, 4096U, 19'999U, 1'000'000U}) {
    EXPECT_EQ(count(pool, text(path, {.split = split})), count_plainly(content)) << split;
  }
}

TEST_F(ByKeyTest, TextsMayBeEmptyOrOneLongLine) {
  Pool pool(2);
  EXPECT_THAT(count(pool, text(write("empty", ""))), IsEmpty());
  EXPECT_THAT(count(pool, text(write("feeds", "\n\n\r\n"))), IsEmpty());
  const std::string line = std::string(3'000'000, 'x') + " y";
  EXPECT_EQ(count(pool, text(write("line", line), {.split = 100'000})),
            (Counts{{std::string(3'000'000, 'x'), 1}, {"y", 1}}));
}

TEST_F(ByKeyTest, ReadsAllFilesOfAPattern) {
  write("a.txt", "one two");
  write("b.txt", "two three");
  write("c.log", "four");
  Pool pool(2);
  EXPECT_EQ(count(pool, text(folder_ / "*.txt")), (Counts{{"one", 1}, {"two", 2}, {"three", 1}}));
  EXPECT_THAT(test::text_of<SystemError>([&] { (void)text(folder_ / "*.none"); }),
              HasSubstr("there is no file"));
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

/// Dies in the midst of the work, the first time.
constexpr auto kDieOnce = [](std::string_view lines, auto& emit) {
  std::size_t n = 0;
  for (const std::string_view word : words(lines)) {
    if (++n == 1000 && this_task::attempt() == 1 && this_task::index() % 3 == 1)
      test::kills_itself(0);
    emit(word);
  }
};

TEST_F(ByKeyTest, CountsNothingTwiceWhoeverDies) {
  const std::string content = random_text(2'000'000);
  const std::string path = write("text", content);
  Pool pool(2);
  auto result = pool.map_reduce_by_key<std::string, std::uint64_t>(
      text(path, {.split = 20'000}), kDieOnce, sum, {.commit_interval = 200'000});
  EXPECT_EQ(map_of(result), count_plainly(content));
}

/// Ends workers of a pool at random while it lives, a hundred times.
class Killer {
 public:
  explicit Killer(Pool& pool) : zygote_(test::zygote_of(pool)) {}

  [[nodiscard]] int kills() const { return kills_; }

 private:
  void run(const std::stop_token& stop) {
    std::minstd_rand random(1);
    while (!stop.stop_requested() && kills_ < 100) {
      std::this_thread::sleep_for(std::chrono::microseconds(random() % 8000));
      for (const int worker : test::placed_workers_under(zygote_)) {
        if (random() % 2 == 0) continue;
        test::kill_child_of(zygote_, worker);
        ++kills_;
        break;
      }
    }
  }

  const pid_t zygote_;
  std::atomic<int> kills_ = 0;
  std::jthread thread_{[this](const std::stop_token& stop) { run(stop); }};
};

TEST_F(ByKeyTest, IsTheSameWhereverWorkersAreKilled) {
  const std::string content = random_text(1'000'000);
  const std::string path = write("text", content);
  const Counts expected = count_plainly(content);
  Pool pool(2);
  KeyedOptions options{.memory = std::uint64_t{2} << 20, .commit_interval = 100'000};
  options.call.retries = {.crashes = 1000};
  const Killer killer(pool);
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(count(pool, text(path, {.split = 20'000}), options), expected);
    const auto size = [](const std::string&, Values<std::uint64_t>& values) {
      return static_cast<std::uint64_t>(std::ranges::distance(values.begin(), values.end()));
    };
    auto sizes = pool.map_reduce_by_key<std::string, std::uint64_t>(
        text(path, {.split = 20'000}), kCountWords, group(size), options);
    EXPECT_EQ(map_of(sizes), expected);
  }
  EXPECT_GT(killer.kills(), 10);
}

TEST_F(ByKeyTest, BlamesThePieceThatFails) {
  const std::string content = random_text(500'000);
  const std::string path = write("text", content);
  Pool pool(2);
  const auto fail = [](std::string_view lines, auto& emit) {
    if (this_task::index() == 17) throw std::runtime_error("no");
    for (const std::string_view word : words(lines)) emit(word);
  };
  try {
    (void)pool.map_reduce_by_key<std::string, std::uint64_t>(text(path, {.split = 10'000}), fail,
                                                             sum);
    FAIL() << "no exception";
  } catch (const RemoteError& error) {
    EXPECT_EQ(error.failure().task(), 17U);
    EXPECT_THAT(error.failure().what(), HasSubstr("no; in " + path + ", bytes 170000 to 180000"));
  }
  EXPECT_EQ(count(pool, text(path)), count_plainly(content)) << "the next job";
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

TEST_F(ByKeyTest, ReadsRanges) {
  Pool pool(2);
  const auto by_rest = [](int x, auto& emit) { emit(x % 7); };
  auto counts = pool.map_reduce_by_key<int, std::uint64_t>(test::numbers(0, 100'000), by_rest, sum);
  std::map<int, std::uint64_t> expected;
  for (int x = 0; x < 100'000; ++x) ++expected[x % 7];
  EXPECT_EQ(map_of(counts), expected);
  auto none = pool.map_reduce_by_key<int, std::uint64_t>(std::vector<int>{}, by_rest, sum);
  EXPECT_THAT(map_of(none), IsEmpty());
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

TEST_F(ByKeyTest, GivesTheKeysWithTheLargestValues) {
  const std::string path = write("text", "b b a a c d d d e");
  Pool pool(2);
  auto counts = pool.map_reduce_by_key<std::string, int>(text(path), kCountWords, sum);
  using Pairs = std::vector<std::pair<std::string, int>>;
  EXPECT_EQ(counts.top(3), (Pairs{{"d", 3}, {"a", 2}, {"b", 2}}));
  EXPECT_EQ(counts.top(0), Pairs{});
  EXPECT_EQ(counts.top(9).size(), 5U);
  EXPECT_EQ(counts.top(1, std::greater<>{}), (Pairs{{"c", 1}}));
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

/// Bytes that are few enough for many runs to come of the tests' inputs.
KeyedOptions scarce() {
  return {.memory = std::uint64_t{1} << 20, .commit_interval = 100'000};
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

TEST_F(ByKeyTest, CountsNothingTwiceInGroupsWhoeverDies) {
  const std::string content = random_text(500'000);
  const std::string path = write("text", content);
  Pool pool(2);
  const auto size = [](const std::string&, Values<std::uint64_t>& values) {
    return static_cast<std::uint64_t>(std::ranges::distance(values.begin(), values.end()));
  };
  KeyedOptions options = scarce();
  options.call.retries = {.crashes = 1};
  auto sizes = pool.map_reduce_by_key<std::string, std::uint64_t>(text(path, {.split = 20'000}),
                                                                  kDieOnce, group(size), options);
  EXPECT_EQ(map_of(sizes), count_plainly(content));
}

TEST_F(ByKeyTest, GivesTheKeysInTheirOrder) {
  const std::string content = random_text(1'000'000);
  const std::string path = write("text", content);
  Pool pool(2);
  auto counts = pool.map_reduce_by_key<std::string, std::uint64_t>(text(path), kCountWords, sum);
  auto sorted = counts.sorted();
  std::vector<std::pair<std::string, std::uint64_t>> pairs;
  for (const auto& pair : sorted) pairs.push_back(pair);
  const Counts expected = count_plainly(content);
  EXPECT_EQ(pairs,
            (std::vector<std::pair<std::string, std::uint64_t>>(expected.begin(), expected.end())));
}

std::string read_whole(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

TEST_F(ByKeyTest, IsWrittenAsText) {
  const std::string path = write("text", "b b a a c d d d e");
  Pool pool(2);
  auto counts = pool.map_reduce_by_key<std::string, int>(text(path), kCountWords, sum);
  counts.sorted().write(folder_ / "sorted.tsv");
  EXPECT_EQ(read_whole(folder_ / "sorted.tsv"), "a\t2\nb\t2\nc\t1\nd\t3\ne\t1\n");
  counts.write(folder_ / "all.tsv");
  counts.write(folder_ / "part-{:03}.tsv");
  std::string parts;
  for (int i = 0; i < 64; ++i) {
    const std::string digits = std::to_string(1000 + i).substr(1);
    parts += read_whole(folder_ / ("part-" + digits + ".tsv"));
  }
  EXPECT_EQ(parts, read_whole(folder_ / "all.tsv"));
  EXPECT_THAT(parts, HasSubstr("d\t3\n"));
  EXPECT_THAT(test::text_of<InvalidArgument>([&] { counts.write(folder_ / "{:q}"); }),
              HasSubstr("no pattern for the names of parts"));
  EXPECT_THAT(test::text_of<SystemError>([&] { counts.write(folder_ / "none" / "x"); }),
              HasSubstr("none/x cannot be written"));
}

TEST_F(ByKeyTest, RefusesOptionsThatMakeNoSense) {
  const std::string path = write("text", "a");
  Pool pool(1);
  const auto refusal = [&](const KeyedOptions& options) {
    return test::text_of<InvalidArgument>([&] { (void)count(pool, text(path), options); });
  };
  EXPECT_THAT(refusal({.memory = 1000}), HasSubstr("KeyedOptions::memory is 1000 bytes"));
  EXPECT_THAT(refusal({.commit_interval = 0}), HasSubstr("KeyedOptions::commit_interval is 0"));
  EXPECT_THAT(refusal({.spill = folder_ / "none"}), HasSubstr("there is no folder"));
  EXPECT_THAT(test::text_of<InvalidArgument>([&] { (void)text(path, {.split = 0}); }),
              HasSubstr("TextOptions::split is 0"));
}

TEST_F(ByKeyTest, ATextThatChangesDuringTheJobIsAnError) {
  const std::string path = write("text", random_text(100'000));
  Pool pool(1);
  const TextInput before = text(path);
  std::filesystem::resize_file(path, 50'000);
  EXPECT_THAT(test::text_of<RemoteError>([&] { (void)count(pool, before); }),
              HasSubstr("text has changed since the job began"));
  EXPECT_FALSE(count(pool, text(path)).empty()) << "the next job";
}

}  // namespace
}  // namespace bulkhead
