// SPDX-License-Identifier: MIT
//
// What keyed jobs give: orders, files of text, counters and figures.
#include "tests/support/keyed.hpp"
#include "tests/support/numbers.hpp"
#include "tests/support/thrown.hpp"
#include <bulkhead/by_key.hpp>
#include <bulkhead/keyed_job.hpp>
#include <bulkhead/pool.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <numeric>
#include <optional>
#include <string>
#include <sys/stat.h>
#include <sys/wait.h>
#include <thread>
#include <tuple>
#include <unistd.h>
#include <utility>
#include <vector>

#include <gmock/gmock.h>

namespace bulkhead {
namespace {

using test::count_plainly;
using test::Counts;
using test::kCountWords;
using test::map_of;
using test::pairs_of;
using test::random_text;
using test::read_whole;
using ::testing::HasSubstr;

class KeyedResultTest : public test::KeyedTest {};

TEST_F(KeyedResultTest, GivesTheKeysWithTheLargestValues) {
  const std::string path = write("text", "b b a a c d d d e");
  Pool pool(2);
  auto counts = pool.map_reduce_by_key<std::string, int>(text(path), kCountWords, sum);
  using Pairs = std::vector<std::pair<std::string, int>>;
  EXPECT_EQ(counts.top(3), (Pairs{{"d", 3}, {"a", 2}, {"b", 2}}));
  EXPECT_EQ(counts.top(0), Pairs{});
  EXPECT_EQ(counts.top(9).size(), 5U);
  EXPECT_EQ(counts.top(1, std::greater<>{}), (Pairs{{"c", 1}}));
}

TEST_F(KeyedResultTest, GivesTheKeysInTheirOrder) {
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

TEST_F(KeyedResultTest, IsSortedWhetherThePoolIsThereOrNot) {
  const auto emit_it = [](std::int64_t x, auto& emit) { emit(x * 7919 % 100'003 - 50'000, x); };
  std::vector<std::int64_t> numbers(60'000);
  std::iota(numbers.begin(), numbers.end(), 0);
  std::map<std::int64_t, std::int64_t> expected;
  for (const std::int64_t x : numbers) expected[x * 7919 % 100'003 - 50'000] += x;
  const std::vector<std::pair<std::int64_t, std::int64_t>> pairs(expected.begin(), expected.end());
  std::optional<Pool> pool(std::in_place, 2);
  auto sums =
      pool->map_reduce_by_key<std::int64_t, std::int64_t>(numbers, emit_it, sum, test::scarce());
  auto by_workers = sums.sorted();
  EXPECT_EQ(pairs_of(by_workers), pairs);
  EXPECT_EQ(pairs_of(by_workers), pairs) << "it can be read again";
  pool->close();
  auto closed = sums.sorted();
  EXPECT_EQ(pairs_of(closed), pairs);
  pool.reset();
  auto here = sums.sorted();
  EXPECT_EQ(pairs_of(here), pairs);
}

TEST_F(KeyedResultTest, IsNotEmptiedByACopyOfTheProcess) {
  Pool pool(1);
  const auto emit_it = [](int x, auto& emit) { emit(x, x); };
  auto all = std::make_unique<KeyedResult<int, int>>(
      pool.map_reduce_by_key<int, int>(test::numbers(0, 1000), emit_it, sum));
  const pid_t copy = ::fork();
  if (copy == 0) {
    all.reset();
    ::_exit(0);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(copy, &status, 0), copy);
  EXPECT_EQ(status, 0);
  EXPECT_EQ(map_of(*all).size(), 1000U);
}

TEST_F(KeyedResultTest, TextsAreSortedByAllTheirBytes) {
  const std::vector<std::string> texts{"",         "a",         std::string("a\0", 2),
                                       "aaaaaaaa", "aaaaaaaab", "aaaaaaaaa",
                                       "\xFF",     "z",         "aaaaaaaa\x01"};
  Pool pool(1);
  const auto emit_it = [](const std::string& text, auto& emit) { emit(text); };
  auto counts = pool.map_reduce_by_key<std::string, int>(texts, emit_it, sum);
  std::vector<std::string> sorted;
  for (const auto& [text, count] : counts.sorted()) sorted.push_back(text);
  std::vector<std::string> expected = texts;
  std::ranges::sort(expected);
  EXPECT_EQ(sorted, expected);
}

TEST_F(KeyedResultTest, IsWrittenAsText) {
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
  counts.write(folder_ / "new" / "folder" / "{}.tsv");
  EXPECT_TRUE(std::filesystem::exists(folder_ / "new" / "folder" / "63.tsv"));
  EXPECT_THAT(test::text_of<SystemError>([&] { counts.write(folder_ / "all.tsv" / "x"); }),
              HasSubstr("all.tsv/x cannot be written"));
}

TEST_F(KeyedResultTest, IsWrittenToWhatIsNoFileAndWhereLinksLead) {
  const std::string path = write("text", "a b a");
  Pool pool(1);
  auto counts = pool.map_reduce_by_key<std::string, int>(text(path), kCountWords, sum);
  write("target", "old");
  std::filesystem::create_symlink("target", folder_ / "link");
  counts.sorted().write(folder_ / "link");
  EXPECT_EQ(read_whole(folder_ / "target"), "a\t2\nb\t1\n");
  EXPECT_TRUE(std::filesystem::is_symlink(folder_ / "link"));
  counts.write("/dev/null");
  EXPECT_TRUE(std::filesystem::is_character_file("/dev/null"));
  ASSERT_EQ(::mkfifo((folder_ / "pipe").c_str(), 0600), 0);
  std::string piped;
  std::thread reader([&] { piped = read_whole(folder_ / "pipe"); });
  counts.sorted().write(folder_ / "pipe");
  reader.join();
  EXPECT_EQ(piped, "a\t2\nb\t1\n");
  EXPECT_THAT(test::text_of<InvalidArgument>([&] { counts.sorted().write("part-{}.tsv"); }),
              HasSubstr("sorted pairs are written to one file"));
}

TEST_F(KeyedResultTest, PairsAndTuplesAreWrittenAsColumns) {
  using Key = std::pair<std::string, int>;
  Pool pool(1);
  const auto emit_it = [](int x, auto& emit) {
    emit(Key("k", x), std::tuple<int, double>(-x, 0.5));
  };
  const auto first = [](const Key&, Values<std::tuple<int, double>>& values) {
    return *values.begin();
  };
  auto pairs = pool.map_reduce_by_key<Key, std::tuple<int, double>>(test::numbers(7, 8), emit_it,
                                                                    group(first));
  pairs.write(folder_ / "pairs.tsv");
  EXPECT_EQ(read_whole(folder_ / "pairs.tsv"), "k\t7\t-7\t0.5\n");
}

TEST_F(KeyedResultTest, HasWhatMappersHaveCountedBeside) {
  Pool pool(2);
  const auto count_bad = [](int x, auto& emit) {
    if (x % 100 == 0) emit.count("hundreds");
    if (x % 1000 == 0) emit.count("thousands", 1000);
    emit(x % 3, x);
  };
  auto sums = pool.map_reduce_by_key<int, std::int64_t>(test::numbers(0, 10'000), count_bad, sum);
  EXPECT_EQ(sums.counters(),
            (std::map<std::string, std::uint64_t>{{"hundreds", 100}, {"thousands", 10'000}}));
  const auto last = [](int, Values<std::int64_t>& values) {
    std::int64_t all = 0;
    for (const std::int64_t value : values) all = value;
    return all;
  };
  auto lasts =
      pool.map_reduce_by_key<int, std::int64_t>(test::numbers(0, 10'000), count_bad, group(last));
  EXPECT_EQ(lasts.counters(), sums.counters());
}

TEST_F(KeyedResultTest, HasFiguresOfTheJob) {
  const std::string content = random_text(1'000'000);
  Pool pool(2);
  auto counts = pool.map_reduce_by_key<std::string, std::uint64_t>(
      text(write("text", content)), kCountWords, sum,
      {.memory = std::uint64_t{1} << 20, .spill = {folder_}, .commit_interval = 100'000});
  const KeyedStats& stats = counts.stats();
  const Counts expected = count_plainly(content);
  std::uint64_t all = 0;
  for (const auto& [word, number] : expected) all += number;
  EXPECT_EQ(stats.emitted, all);
  EXPECT_EQ(stats.keys, expected.size());
  EXPECT_EQ(stats.input_bytes, content.size());
  EXPECT_EQ(stats.pieces, 64U);
  EXPECT_LT(stats.sealed, all);
  EXPECT_GE(stats.sealed, expected.size());
  EXPECT_GT(stats.spilled_bytes, 0U);
  EXPECT_GT(stats.peak_bytes, 0U);
  EXPECT_GT(stats.elapsed.count(), 0);
  EXPECT_THAT(stats.summary(), HasSubstr(std::to_string(all) + " pairs, combined "));
  EXPECT_THAT(stats.summary(), HasSubstr(" spilled"));
}

TEST_F(KeyedResultTest, IsWhatAJobGivesThatIsSaidStepByStep) {
  const std::string content = random_text(200'000);
  const TextInput input = text(write("text", content), {.split = 10'000});
  Pool pool(2);
  Progress last;
  const auto note = [&last](const Progress& progress) { last = progress; };
  auto counts = pool.job<std::string, std::uint64_t>()
                    .input(input)
                    .map(kCountWords)
                    .reduce(sum)
                    .memory(std::uint64_t{64} << 20)
                    .spill({folder_}, std::uint64_t{1} << 30)
                    .commit_every(50'000)
                    .progress(note)
                    .options({.timeout = std::chrono::minutes(1)})
                    .run();
  EXPECT_EQ(map_of(counts), count_plainly(content));
  EXPECT_EQ(last.bytes, content.size());
  EXPECT_EQ(last.total_bytes, content.size());
  EXPECT_EQ(last.pairs, counts.stats().emitted);
  EXPECT_EQ(last.done, counts.stats().pieces);
  EXPECT_EQ(last.partitions, 64U);
  EXPECT_EQ(last.reduced, 64U);
  EXPECT_LE(last.reducing, last.elapsed);
  ASSERT_TRUE(last.remaining());
  EXPECT_EQ(last.remaining()->count(), 0);
}

}  // namespace
}  // namespace bulkhead
