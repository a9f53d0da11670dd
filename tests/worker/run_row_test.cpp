// SPDX-License-Identifier: MIT
//
// Rows of runs: packed and read again, whatever the bytes are.
#include <bulkhead/detail/run_row.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace bulkhead::detail {
namespace {

template <class V>
void expect_same_again(const std::vector<V>& values) {
  for (std::size_t size = 0; size <= kLongestShortKey; ++size) {
    const std::string text = std::string("0123456789abcdef").substr(0, size) + std::string(16, '!');
    const PackedKey key = pack_short(text.data(), size);
    for (const V& value : values) {
      std::array<std::byte, RowCodec<V>::kMost> bytes;
      bytes.fill(std::byte{0xAA});
      const std::byte* const end = RowCodec<V>::put(key, value, bytes.data());
      ASSERT_LE(end - bytes.data(), static_cast<std::ptrdiff_t>(1 + size + sizeof(V)));
      PackedKey key_again;
      V value_again{};
      EXPECT_EQ(RowCodec<V>::get(bytes.data(), key_again, value_again), end);
      EXPECT_EQ(key_again, key);
      EXPECT_EQ(value_again, value);
    }
  }
}

TEST(RunRow, IsReadAsItWasPacked) {
  using Limits = std::numeric_limits<std::int64_t>;
  expect_same_again<std::uint64_t>({0, 1, 255, 256, 65'535, 1U << 24, ~std::uint64_t{0}});
  expect_same_again<std::int64_t>({0, 1, -1, Limits::min(), Limits::max()});
  expect_same_again<std::int32_t>({0, 1, -1, 127, -128, 1 << 30});
  expect_same_again<std::int8_t>({0, 1, -1, 127, -128});
  expect_same_again<bool>({false, true});
  expect_same_again<double>({0, -1.5, 1e300});
  struct Pair {
    double sum;
    std::uint32_t number;
    bool operator==(const Pair&) const = default;
  };
  expect_same_again<Pair>({{0, 0}, {2.5, 7}});
}

TEST(RunRow, ANumberNeedsNoMoreBytesThanItHas) {
  std::array<std::byte, RowCodec<std::uint64_t>::kMost> bytes{};
  const PackedKey key = pack_short("key and others   ", 3);
  EXPECT_EQ(RowCodec<std::uint64_t>::put(key, 0, bytes.data()) - bytes.data(), 4);
  EXPECT_EQ(RowCodec<std::uint64_t>::put(key, 7, bytes.data()) - bytes.data(), 5);
  EXPECT_EQ(RowCodec<std::uint64_t>::put(key, 300, bytes.data()) - bytes.data(), 6);
}

TEST(RunRow, RandomBytesAreNoMoreThanARow) {
  std::mt19937 random(1);
  for (int i = 0; i < 100'000; ++i) {
    std::array<std::byte, RowCodec<std::uint64_t>::kMost> bytes;
    for (std::byte& byte : bytes) byte = static_cast<std::byte>(random());
    PackedKey key;
    std::uint64_t value = 0;
    const std::byte* const end = RowCodec<std::uint64_t>::get(bytes.data(), key, value);
    ASSERT_LE(end, bytes.data() + bytes.size());
    ASSERT_LE(key.size(), kLongestShortKey);
  }
}

}  // namespace
}  // namespace bulkhead::detail
