// SPDX-License-Identifier: MIT
//
// Runs that are compressed on disks: the same results, in fewer bytes.
#include "tests/support/keyed.hpp"
#include "tests/support/numbers.hpp"
#include "tests/support/thrown.hpp"
#include <bulkhead/by_key.hpp>
#include <bulkhead/keyed_job.hpp>
#include <bulkhead/lz4.hpp>
#include <bulkhead/pool.hpp>
#include <bulkhead/zstd.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <map>
#include <span>
#include <string>
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
using test::random_text;
using ::testing::HasSubstr;

class SpillTest : public test::KeyedTest {
 protected:
  KeyedOptions spilling(CompressionMethod method) const {
    KeyedOptions options = test::scarce();
    options.spill = {folder_};
    options.compress = method;
    return options;
  }
};

TEST_F(SpillTest, CompressedRunsGiveTheSameCounts) {
  const std::string content = random_text(2'000'000);
  const std::string path = write("text", content);
  const Counts expected = count_plainly(content);
  Pool pool(2);
  std::map<std::string, std::uint64_t> spilled;
  const std::vector<std::pair<std::string, CompressionMethod>> methods{
      {"none", nullptr}, {"lz4", &bulkhead::lz4}, {"zstd", &bulkhead::zstd}};
  for (const auto& [name, method] : methods) {
    auto counts = pool.map_reduce_by_key<std::string, std::uint64_t>(text(path), kCountWords, sum,
                                                                     spilling(method));
    EXPECT_EQ(map_of(counts), expected) << name;
    spilled[name] = counts.stats().spilled_bytes;
  }
  EXPECT_LT(spilled["lz4"], spilled["none"] * 9 / 10);
  EXPECT_LT(spilled["zstd"], spilled["lz4"]);
}

TEST_F(SpillTest, CompressedListsStayInTheOrderOfTheInput) {
  constexpr int kValues = 100'000;
  const auto few_keys = [](int x, auto& emit) {
    emit(x % 3, std::to_string(x) + " is one of many values");
  };
  Pool pool(2);
  auto numbers = pool.map_reduce_by_key<int, std::string>(
      test::numbers(0, kValues), few_keys, group(kCountInOrder), spilling(&bulkhead::zstd));
  EXPECT_EQ(map_of(numbers),
            (std::map<int, int>{{0, kValues / 3 + 1}, {1, kValues / 3}, {2, kValues / 3}}));
  EXPECT_GT(numbers.stats().spilled_bytes, 0U);
}

TEST_F(SpillTest, ACompressedResultIsSortedAndReadByTheNextJob) {
  const std::string content = random_text(2'000'000);
  const Counts expected = count_plainly(content);
  Pool pool(2);
  auto counts = pool.job<std::string, std::uint64_t>()
                    .input(text(write("text", content)))
                    .map(kCountWords)
                    .reduce(sum)
                    .memory(std::uint64_t{1} << 20)
                    .spill({folder_})
                    .compress(bulkhead::lz4)
                    .run();
  auto sorted = counts.sorted();
  auto pair = sorted.begin();
  for (const auto& [word, count] : expected) {
    ASSERT_NE(pair, sorted.end());
    ASSERT_EQ(*pair, (std::pair<std::string, std::uint64_t>(word, count)));
    ++pair;
  }
  EXPECT_EQ(pair, sorted.end());
  const auto lengths = [](const std::pair<std::string, std::uint64_t>& word, auto& emit) {
    emit(static_cast<int>(word.first.size()), word.second);
  };
  auto by_length = pool.map_reduce_by_key<int, std::uint64_t>(counts, lengths, sum);
  std::map<int, std::uint64_t> expected_lengths;
  for (const auto& [word, count] : expected)
    expected_lengths[static_cast<int>(word.size())] += count;
  EXPECT_EQ(map_of(by_length), expected_lengths);
}

/// Takes every other byte, and cannot do without the others.
const Compression& lossy() {
  static constexpr Compression compression{
      [](std::span<const std::byte> from, std::span<std::byte> to) {
        const std::size_t size = std::min(from.size() / 2, to.size());
        for (std::size_t i = 0; i < size; ++i) to[i] = from[2 * i];
        return size;
      },
      [](std::span<const std::byte>, std::span<std::byte>) { return false; }};
  return compression;
}
/// Says that it has put more bytes than there is room for.
const Compression& boastful() {
  static constexpr Compression compression{
      [](std::span<const std::byte> from, std::span<std::byte>) { return 2 * from.size(); },
      [](std::span<const std::byte>, std::span<std::byte>) { return false; }};
  return compression;
}

TEST_F(SpillTest, WhatCannotBeDecompressedIsAnError) {
  const std::string content = random_text(1'000'000);
  const std::string path = write("text", content);
  Pool pool(2);
  const auto message = test::text_of<std::exception>([&] {
    pool.map_reduce_by_key<std::string, std::uint64_t>(text(path), kCountWords, sum,
                                                       spilling(&lossy));
  });
  EXPECT_THAT(message, HasSubstr("a run of a keyed job is damaged"));
  EXPECT_EQ(count_words(pool, text(path)), count_plainly(content)) << "the next job works";
}

TEST_F(SpillTest, WhatGrowsByCompressionIsLeftAsItIs) {
  const std::string content = random_text(1'000'000);
  Pool pool(2);
  auto counts = pool.map_reduce_by_key<std::string, std::uint64_t>(
      text(write("text", content)), kCountWords, sum, spilling(&boastful));
  EXPECT_EQ(map_of(counts), count_plainly(content));
  EXPECT_GT(counts.stats().spilled_bytes, 0U);
}

}  // namespace
}  // namespace bulkhead
