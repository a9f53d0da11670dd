// SPDX-License-Identifier: MIT
//
// Lists of values by key: whole, and in the order in which the values came.
#include <bulkhead/detail/hash_order.hpp>
#include <bulkhead/detail/list_arena.hpp>
#include <bulkhead/detail/value_list.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <random>
#include <span>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace bulkhead::detail {
namespace {

constexpr std::size_t kAmple = std::size_t{8} << 20;

template <class V>
void append(ListArena& arena, ListPlace& list, const V& value) {
  with_list_bytes(value, [&](std::span<const std::byte> bytes) { arena.append(list, bytes); });
}
std::vector<std::byte> bytes_of(const ListArena& arena, const ListPlace& list) {
  std::vector<std::byte> all;
  arena.for_each(list, [&all](std::span<const std::byte> some) {
    all.insert(all.end(), some.begin(), some.end());
  });
  return all;
}
template <class V>
std::vector<V> values_of(std::span<const std::byte> list) {
  std::vector<V> values;
  while (!list.empty()) values.push_back(take_list_value<V>(list));
  return values;
}

TEST(ListArena, KeepsListsThatGrowByTurns) {
  ListArena arena(kAmple);
  std::vector<ListPlace> places(50);
  std::vector<std::vector<std::string>> expected(50);
  std::mt19937 random(1);
  for (int i = 0; i < 20'000; ++i) {
    const auto n = random() % places.size();
    const std::string value(random() % (random() % 100 == 0 ? 3000 : 20), static_cast<char>(i));
    ASSERT_TRUE(arena.has_room(value.size() + 100, 1));
    append(arena, places[n], value);
    expected[n].push_back(value);
  }
  for (std::size_t n = 0; n < places.size(); ++n)
    EXPECT_EQ(values_of<std::string>(bytes_of(arena, places[n])), expected[n]) << n;
}

TEST(ListArena, SaysWhenThereMayBeNoRoom) {
  ListArena arena(kAmple);
  ListPlace list;
  std::uint64_t appended = 0;
  while (arena.has_room(sizeof appended, 1)) {
    append(arena, list, appended);
    ++appended;
  }
  EXPECT_GT(appended * sizeof appended, kAmple / 2);
  EXPECT_EQ(values_of<std::uint64_t>(bytes_of(arena, list)).back(), appended - 1);
  arena.clear();
  EXPECT_TRUE(arena.has_room(sizeof appended, 1));
}

TEST(ValueList, IsSplitBetweenValues) {
  std::vector<std::byte> list;
  std::vector<std::string> expected;
  for (int i = 0; i < 1000; ++i) {
    expected.emplace_back(static_cast<std::size_t>(i % 37), 'v');
    with_list_bytes(expected.back(), [&list](std::span<const std::byte> bytes) {
      list.insert(list.end(), bytes.begin(), bytes.end());
    });
  }
  std::vector<std::string> all;
  int parts = 0;
  const auto look = [&](std::span<const std::byte> part) {
    EXPECT_LE(part.size(), 2000U);
    for (std::string& value : values_of<std::string>(part)) all.push_back(std::move(value));
    ++parts;
  };
  look(std::span(list).subspan(split_list<std::string>(list, 1000, look)));
  EXPECT_EQ(all, expected);
  EXPECT_GT(parts, 20);
}

TEST(ValueList, ThatEndsTooEarlyIsRefused) {
  std::vector<std::byte> list;
  with_list_bytes(std::string("value"), [&list](std::span<const std::byte> bytes) {
    list.assign(bytes.begin(), bytes.end());
  });
  for (std::size_t size = 1; size < list.size(); ++size) {
    std::span<const std::byte> part = std::span(list).first(size);
    EXPECT_THROW((void)take_list_value<std::string>(part), DecodeError) << size;
  }
  std::span<const std::byte> part = std::span(list).first(3);
  EXPECT_THROW((void)take_list_value<int>(part), DecodeError);
}

TEST(SortByHash, KeepsTheOrderOfEqualOnes) {
  std::mt19937 random(1);
  for (const std::size_t size : {0U, 1U, 2U, 1000U, 100'000U}) {
    std::vector<std::uint64_t> items;
    for (std::uint32_t i = 0; i < size; ++i) {
      const auto hash = static_cast<std::uint32_t>(random());
      items.push_back(numbered(random() % 2 == 0 ? hash % 10 : hash, i));
    }
    std::vector<std::uint64_t> expected = items;
    std::ranges::sort(expected);
    std::vector<std::uint64_t> scratch(size);
    const std::span<std::uint64_t> sorted = sort_by_hash(items, scratch);
    EXPECT_TRUE(std::ranges::equal(sorted, expected)) << size;
  }
}

}  // namespace
}  // namespace bulkhead::detail
