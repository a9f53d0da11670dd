// SPDX-License-Identifier: MIT
//
// Tables of keys and values: what goes in comes out, added up, in the order of hashes.
#include <bulkhead/detail/combiner_table.hpp>

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gmock/gmock.h>

namespace bulkhead::detail {
namespace {

constexpr std::size_t kAmple = std::size_t{64} << 20;

struct Plus {
  template <class V>
  void operator()(V& sum, V&& value) const {
    sum += std::move(value);
  }
};
Plus plus;

template <class V>
bool add(CombinerTable<V>& table, std::string_view key, V value) {
  if (key.size() > kLongestShortKey) return table.add_long(key, hash_of_long(key), value, plus);
  const PackedKey packed = pack_short(key.data(), key.size());
  while (!table.has_room(1) && table.can_grow()) table.grow();
  return table.has_room(1) && table.add(packed, hash_of_short(packed), value, plus);
}

template <class V>
std::map<std::string, V> contents(CombinerTable<V>& table) {
  std::map<std::string, V> all;
  table.walk(0, 0, [&](auto& slot) {
    const bool is_new =
        all.emplace(table.bytes_of(slot.key), CombinerTable<V>::value_of(slot)).second;
    EXPECT_TRUE(is_new) << "a key has two slots";
  });
  return all;
}

std::string random_key(std::minstd_rand& random) {
  std::string key(random() % (random() % 4 == 0 ? 40 : 16), ' ');
  for (char& c : key) c = static_cast<char>(random() % 3);
  return key;
}

TEST(PackedKey, TellsKeysOfAnyBytesApart) {
  const std::vector<std::string> keys{"",  std::string(1, '\0'),  std::string(2, '\0'), "a",
                                      "b", std::string("a\0", 2), std::string(15, '\0')};
  for (const std::string& a : keys) {
    for (const std::string& b : keys) {
      EXPECT_EQ(pack_short(a.data(), a.size()) == pack_short(b.data(), b.size()), a == b);
    }
    EXPECT_FALSE(pack_short(a.data(), a.size()).is_none());
    EXPECT_FALSE(pack_short(a.data(), a.size()).is_long());
    EXPECT_EQ(pack_short(a.data(), a.size()).size(), a.size());
  }
}

TEST(PackedKey, DoesNotDependOnWhatLiesBehindIt) {
  std::string page(8192, 'x');
  for (std::size_t at = 0; at + 15 < page.size(); ++at) {
    page[at] = 'k';
    ASSERT_EQ(pack_short(page.data() + at, 1), pack_short("k", 1)) << at;
    page[at] = 'x';
  }
}

TEST(TinyKey, IsTheSameKeyInHalfTheRoom) {
  const std::vector<std::string> tiny{"",
                                      std::string(1, '\0'),
                                      "a",
                                      std::string("a\0", 2),
                                      "seven77",
                                      std::string("seven77\0", 8),
                                      std::string(15, '\0')};
  for (const std::string& a : tiny) {
    const PackedKey key = pack_short(a.data(), a.size());
    ASSERT_TRUE(TinyKey::has_room(key)) << a;
    EXPECT_EQ(TinyKey::of(key).packed(), key);
    EXPECT_FALSE(TinyKey::of(key).is_none());
    EXPECT_EQ(hash_of_short(TinyKey::of(key)), hash_of_short(key));
  }
  for (const std::string large : {"eight888", "fifteen 5555555"}) {
    EXPECT_FALSE(TinyKey::has_room(pack_short(large.data(), large.size()))) << large;
  }
}

TEST(CombinerTable, AddsUpTheValuesOfEachKey) {
  CombinerTable<std::uint64_t> table(kAmple, kAmple);
  std::map<std::string, std::uint64_t> expected;
  std::minstd_rand random(1);
  for (std::uint64_t i = 0; i < 300'000; ++i) {
    const std::string key = random_key(random);
    ASSERT_TRUE(add(table, key, i));
    expected[key] += i;
  }
  EXPECT_EQ(table.size(), expected.size());
  EXPECT_EQ(contents(table), expected);
  table.clear();
  EXPECT_EQ(table.size(), 0U);
  EXPECT_TRUE(contents(table).empty());
  EXPECT_TRUE(add(table, "again", std::uint64_t{1}));
}

TEST(CombinerTable, HoldsValuesThatAreNotPlain) {
  CombinerTable<std::string> table(kAmple, kAmple);
  for (int round = 0; round < 2; ++round) {
    for (int i = 0; i < 1000; ++i) {
      ASSERT_TRUE(add(table, "key " + std::to_string(i % 10), std::string(1, 'v')));
    }
    EXPECT_EQ(contents(table).at("key 3"), std::string(100, 'v'));
    table.clear();
  }
}

TEST(CombinerTable, IsWalkedByPartitions) {
  CombinerTable<int> table(kAmple, kAmple);
  for (int i = 0; i < 100'000; ++i) ASSERT_TRUE(add(table, std::to_string(i), 1));
  for (const int bits : {1, 3, 6}) {
    std::size_t all = 0;
    for (std::uint64_t partition = 0; partition >> bits == 0; ++partition) {
      table.walk(partition, bits, [&](auto& slot) {
        ASSERT_EQ(table.hash_of(slot) >> (64 - bits), partition);
        ++all;
      });
    }
    EXPECT_EQ(all, 100'000U);
  }
}

TEST(CombinerTable, CanBeSortedByHash) {
  CombinerTable<int> table(kAmple, kAmple);
  std::minstd_rand random(1);
  for (int i = 0; i < 60'000; ++i) ASSERT_TRUE(add(table, random_key(random), 1));
  table.sort();
  std::uint64_t last = 0;
  table.walk(0, 0, [&](auto& slot) {
    EXPECT_GE(table.hash_of(slot), last);
    last = table.hash_of(slot);
  });
}

TEST(CombinerTable, HoldsTinyKeys) {
  CombinerTable<int, TinyKey> table(kAmple, 0);
  for (int round = 1; round <= 2; ++round) {
    for (int i = 0; i < 100'000; ++i) {
      const std::string text = std::to_string(i);
      const PackedKey key = pack_short(text.data(), text.size());
      while (!table.has_room(1)) table.grow();
      int value = i;
      ASSERT_TRUE(table.add(TinyKey::of(key), hash_of_short(key), value, plus));
    }
    EXPECT_EQ(table.size(), 100'000U);
  }
  std::size_t seen = 0;
  for (std::uint64_t partition = 0; partition != 8; ++partition) {
    table.walk(partition, 3, [&](auto& slot) {
      const PackedKey key = slot.key.packed();
      ASSERT_EQ(std::to_string(slot.value / 2), table.bytes_of(key));
      ++seen;
    });
  }
  EXPECT_EQ(seen, 100'000U);
}

/// Depends on the order of what is added.
struct Then {
  void operator()(std::uint64_t& all, std::uint64_t&& next) const { all = all * 31 + next; }
};

TEST(CombinerTable, AddsABatchAsIfEachPairCameByItself) {
  CombinerTable<std::uint64_t> table(kAmple, kAmple);
  std::map<std::string, std::uint64_t> expected;
  std::minstd_rand random(1);
  Then then;
  for (int batch = 0; batch < 1000; ++batch) {
    std::vector<PackedKey> keys(random() % 128);
    std::vector<std::uint64_t> hashes(keys.size());
    std::vector<std::uint64_t> values(keys.size());
    for (std::size_t i = 0; i < keys.size(); ++i) {
      const std::string key = std::to_string(random() % (random() % 50'000 + 1));
      keys[i] = pack_short(key.data(), key.size());
      hashes[i] = hash_of_short(keys[i]);
      values[i] = random();
      const bool is_new = expected.emplace(key, values[i]).second;
      if (!is_new) then(expected[key], std::uint64_t{values[i]});
    }
    while (!table.has_room(keys.size())) table.grow();
    ASSERT_TRUE(table.add(keys.data(), hashes.data(), values.data(), keys.size(), then));
  }
  EXPECT_EQ(contents(table), expected);
}

TEST(CombinerTable, TakesNothingOfABatchThatMightNotHaveRoom) {
  CombinerTable<int, TinyKey> table(kAmple, 0);
  constexpr std::size_t kBatch = 100;
  constexpr std::uint64_t kLastHash = ~std::uint64_t{0};
  std::vector<TinyKey> keys(kBatch);
  const std::vector<std::uint64_t> hashes(kBatch, kLastHash);
  std::vector<int> values(kBatch, 1);
  std::uint64_t next = 0;
  std::size_t added = 0;
  for (;;) {
    for (TinyKey& key : keys) key.bits = ++next;
    if (!table.add(keys.data(), hashes.data(), values.data(), kBatch, plus)) break;
    added += kBatch;
    ASSERT_LT(added, 10'000U);
  }
  EXPECT_GT(added, 3000U);
  EXPECT_EQ(table.size(), added);
}

TEST(CombinerTable, GivesThoseThatCameFirstTheirSlotsAgainAsItGrows) {
  using Table = CombinerTable<int>;
  Table table(kAmple, 1);
  for (int i = 0; i < 100'000; ++i) ASSERT_TRUE(add(table, std::to_string(i), i));
  std::map<std::size_t, int> last;
  table.walk(0, 0, [&](Table::Slot& slot) {
    const std::size_t capacity = table.slot_bytes() / sizeof(Table::Slot);
    const auto [of_slot, is_first] =
        last.emplace(high_product(capacity, table.hash_of(slot)), slot.value);
    if (!is_first) {
      EXPECT_LT(std::exchange(of_slot->second, slot.value), slot.value);
    }
  });
}

TEST(CombinerTable, MayBeOfAnySize) {
  constexpr std::size_t kSlots = 10'000;
  CombinerTable<int> table(kSlots * sizeof(CombinerTable<int>::Slot), 1);
  int added = 0;
  while (add(table, std::to_string(added), 1)) ++added;
  EXPECT_EQ(table.slot_bytes(), kSlots * sizeof(CombinerTable<int>::Slot));
  EXPECT_EQ(contents(table).size(), static_cast<std::size_t>(added));
  table.limit(2 * table.slot_bytes());
  EXPECT_TRUE(table.can_grow());
  while (add(table, std::to_string(added), 1)) ++added;
  EXPECT_GT(added, 13'000);
  EXPECT_EQ(contents(table).size(), static_cast<std::size_t>(added));
}

TEST(CombinerTable, IsFullAtTheSameSizeWhateverWasInItBefore) {
  using Table = CombinerTable<int>;
  for (const std::size_t slots : {4097UL, 10'001UL, 20'000UL, 65'537UL, 77'777UL}) {
    Table table(slots * sizeof(Table::Slot), 1);
    std::vector<int> full;
    for (const int before : {0, 10, 1000, 5000, 9000, 100'000}) {
      for (int i = 0; i < before; ++i) static_cast<void>(add(table, std::to_string(i), 1));
      table.clear();
      int added = 0;
      while (add(table, std::to_string(added), 1)) ++added;
      full.push_back(added);
      table.clear();
    }
    EXPECT_THAT(full, ::testing::Each(full.front())) << slots;
  }
}

TEST(CombinerTable, SaysWhenItIsFull) {
  CombinerTable<int> table(std::size_t{1} << 16, 1);
  int added = 0;
  while (add(table, std::to_string(added), 1)) ++added;
  EXPECT_GT(added, 1000);
  EXPECT_FALSE(table.can_grow());
  EXPECT_TRUE(add(table, "0", 1) || !table.has_room(1));
  EXPECT_EQ(contents(table).size(), static_cast<std::size_t>(added));
}

TEST(CombinerTable, SaysWhenThereIsNoRoomForALongKey) {
  CombinerTable<int> table(kAmple, std::size_t{2} << 20);
  const std::string large(std::size_t{1} << 20, 'k');
  EXPECT_TRUE(add(table, large, 1));
  EXPECT_FALSE(add(table, large + "2", 1));
  EXPECT_TRUE(add(table, large, 1)) << "it is there already";
  EXPECT_EQ(contents(table).at(large), 2);
}

}  // namespace
}  // namespace bulkhead::detail
