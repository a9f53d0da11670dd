// SPDX-License-Identifier: MIT
#include <bulkhead/detail/block_size.hpp>

#include <chrono>
#include <optional>

#include <gtest/gtest.h>

namespace bulkhead::detail {
namespace {

using namespace std::chrono_literals;

BlockSize size_of(std::chrono::nanoseconds per_element) {
  BlockSize size;
  size.observe_time(per_element, 1);
  return size;
}

TEST(BlockSize, IsOneWhileNothingIsKnown) {
  EXPECT_EQ(BlockSize().next(std::nullopt, 2), 1U);
}

TEST(BlockSize, FillsAboutAMillisecond) {
  EXPECT_EQ(size_of(1us).next(std::nullopt, 2), 512U);
  EXPECT_EQ(size_of(100us).next(std::nullopt, 2), 8U);
}

TEST(BlockSize, IsOneForLongTasks) {
  EXPECT_EQ(size_of(600us).next(std::nullopt, 2), 1U);
  EXPECT_EQ(size_of(1h).next(1'000'000, 2), 1U);
}

TEST(BlockSize, ShrinksTowardsTheEnd) {
  const BlockSize size = size_of(10us);
  EXPECT_EQ(size.next(1'000'000, 2), 64U);
  EXPECT_EQ(size.next(100, 2), 16U);
}

TEST(BlockSize, IsWorthAWakingAtTheEnd) {
  EXPECT_EQ(size_of(1us).next(1, 2), 32U);
}

TEST(BlockSize, IsBoundedInBytes) {
  BlockSize size = size_of(1us);
  size.observe_bytes(4096, 1);
  EXPECT_EQ(size.next(std::nullopt, 2), 32U);
  size = size_of(1us);
  size.observe_bytes(16 << 20, 1);
  EXPECT_EQ(size.next(std::nullopt, 2), 1U);
}

TEST(BlockSize, IsBoundedWhereElementsTakeNoTime) {
  EXPECT_LE(size_of(0ns).next(std::nullopt, 2), std::uint64_t{1} << 20);
}

TEST(BlockSize, FollowsElementsThatBecomeLonger) {
  BlockSize size = size_of(10ns);
  for (int i = 0; i < 3; ++i) size.observe_time(1s, 1);
  EXPECT_EQ(size.next(std::nullopt, 2), 1U);
  for (int i = 0; i < 40; ++i) size.observe_time(10us, 1);
  EXPECT_EQ(size.next(std::nullopt, 2), 64U);
}

}  // namespace
}  // namespace bulkhead::detail
