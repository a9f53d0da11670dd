// SPDX-License-Identifier: MIT
//
// Arrays as inputs of any call, a block at a time.
#include "tests/support/keyed.hpp"
#include "tests/support/thrown.hpp"
#include <bulkhead/dense.hpp>
#include <bulkhead/fork_map.hpp>
#include <bulkhead/mapped.hpp>
#include <bulkhead/pool.hpp>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <numeric>
#include <span>
#include <string>
#include <vector>

#include <gmock/gmock.h>

namespace bulkhead {
namespace {

using ::testing::HasSubstr;

class MappedTest : public test::KeyedTest {
 protected:
  std::string write_numbers(std::size_t count) {
    std::vector<double> numbers(count);
    std::iota(numbers.begin(), numbers.end(), 0.5);
    return write("numbers",
                 {reinterpret_cast<const char*>(numbers.data()), count * sizeof(double)});
  }
};

double sum_of(std::span<const double> block) {
  return std::accumulate(block.begin(), block.end(), 0.0);
}

TEST_F(MappedTest, EachElementIsInOneBlock) {
  const std::string path = write_numbers(10'001);
  Pool pool(2);
  for (const std::size_t each : {std::size_t{1}, std::size_t{1000}, std::size_t{20'000}}) {
    const Blocks<double> input = mapped<double>(path, each);
    EXPECT_EQ(input.size(), (10'000 + each) / each);
    EXPECT_EQ(pool.map_reduce(input, sum_of, std::plus<>{}, 0.0), 10'001.0 * 10'001 / 2);
  }
  EXPECT_TRUE(pool.map(sum_of, mapped<double>(write("none", ""))).empty());
}

TEST_F(MappedTest, SumsHaveTheSameBitsForAnyNumberOfWorkers) {
  const std::string path = write_numbers(300'000);
  std::vector<double> sums;
  for (const int workers : {1, 2, 4}) {
    Pool pool(workers);
    sums.push_back(pool.map_reduce(
        mapped<double>(path, 1000),
        [](std::span<const double> block) {
          double sum = 0;
          for (const double x : block) sum += 1 / x;
          return sum;
        },
        std::plus<>{}, 0.0));
  }
  EXPECT_EQ(sums[0], sums[1]);
  EXPECT_EQ(sums[0], sums[2]);
}

TEST_F(MappedTest, CountsByIndexAreAddedUp) {
  const std::string path = write_numbers(100'000);
  Pool pool(2);
  const auto bins = pool.map_reduce(
      mapped<double>(path, 999),
      [](std::span<const double> block) {
        Dense<std::uint64_t> some;
        for (const double x : block) ++some.at(static_cast<std::size_t>(x) % 3);
        return some;
      },
      std::plus<>{}, Dense<std::uint64_t>{});
  ASSERT_EQ(bins.size(), 3U);
  EXPECT_EQ(bins[0], 33'334U);
  EXPECT_EQ(bins[1], 33'333U);
  EXPECT_EQ(bins[2], 33'333U);
}

TEST_F(MappedTest, ArraysInMemoryAreSentABlockAtATime) {
  std::vector<int> numbers(10'000);
  std::iota(numbers.begin(), numbers.end(), 0);
  Pool pool(2);
  const auto firsts =
      pool.map([](const Block<int>& block) { return block.first(); }, blocks(numbers, 3000));
  EXPECT_EQ(firsts, (std::vector<std::uint64_t>{0, 3000, 6000, 9000}));
  EXPECT_EQ(
      pool.map_reduce(
          blocks(numbers),
          [](std::span<const int> block) { return std::accumulate(block.begin(), block.end(), 0); },
          std::plus<>{}, 0),
      9999 * 5000);
}

TEST_F(MappedTest, BlocksAreAnInputOfKeyedJobs) {
  const std::string path = write_numbers(100'000);
  Pool pool(2);
  const auto by_rest = [](std::span<const double> block, auto& emit) {
    for (const double x : block) emit(static_cast<int>(x) % 4, x);
  };
  auto sums = pool.map_reduce_by_key<int, double>(mapped<double>(path, 1000), by_rest, sum);
  EXPECT_EQ(
      test::map_of(sums),
      (std::map<int, double>{
          {0, 1'249'962'500.0}, {1, 1'249'987'500.0}, {2, 1'250'012'500.0}, {3, 1'250'037'500.0}}));
  EXPECT_EQ(sums.stats().input_bytes, 800'000U);
}

TEST_F(MappedTest, AFileThatIsNoArrayOrHasChangedIsRefused) {
  const std::string path = write_numbers(100'000);
  EXPECT_THAT(
      test::text_of<InvalidArgument>([&] { (void)mapped<double>(write("odd", "1234567")); }),
      HasSubstr("odd has 7 bytes, which is no multiple of 8"));
  EXPECT_THAT(test::text_of<SystemError>([&] { (void)mapped<double>(folder_ / "none"); }),
              HasSubstr("none cannot be read"));
  EXPECT_THAT(test::text_of<InvalidArgument>([&] { (void)mapped<double>(path, 0); }),
              HasSubstr("blocks of 0 elements"));
  const Blocks<double> before = mapped<double>(path, 1000);
  std::filesystem::resize_file(path, 8000);
  Pool pool(1);
  EXPECT_THAT(test::text_of<RemoteError>(
                  [&] { (void)pool.map_reduce(before, sum_of, std::plus<>{}, 0.0); }),
              HasSubstr("numbers has changed since the job began"));
  EXPECT_EQ(pool.map(sum_of, mapped<double>(path)), (std::vector<double>{500'000.0}));
}

TEST_F(MappedTest, BlocksAreMappedByWhoeverAsksForThem) {
  const std::string path = write_numbers(1000);
  const Blocks<double> input = mapped<double>(path, 100);
  EXPECT_EQ(sum_of(*input.begin()), 100.0 * 100 / 2);
  EXPECT_EQ((*input.begin())[3], 3.5);
  const std::vector<double> sums = fork_map(
      [](const Block<double>& block) { return sum_of(block); }, input, Options{.workers = 2});
  EXPECT_EQ(std::accumulate(sums.begin(), sums.end(), 0.0), 1000.0 * 1000 / 2);
}

}  // namespace
}  // namespace bulkhead
