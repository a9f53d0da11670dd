// SPDX-License-Identifier: MIT
//
// GroupBuffer: lists of values in memory, which are put into the order of their keys' hashes. Those
// of one key stay in the order in which they came.
#pragma once

#include <bulkhead/detail/combiner_table.hpp>
#include <bulkhead/detail/hash_order.hpp>
#include <bulkhead/detail/key_arena.hpp>
#include <bulkhead/detail/pair_row.hpp>
#include <bulkhead/detail/run_packer.hpp>
#include <bulkhead/detail/value_list.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

namespace bulkhead::detail {

template <class V>
class GroupBuffer final : public PairRow<V> {
 public:
  /// Of so many bytes, all together. The first `skipped` bits of all hashes are alike.
  GroupBuffer(std::size_t bytes, int skipped)
      : most_(std::clamp(bytes / 4 / kItemBytes, kLeast, kMost)),
        skipped_(skipped),
        items_(most_ * sizeof(Item)),
        order_(2 * most_ * sizeof(std::uint64_t)),
        others_(std::max(bytes / 4 * 3, kLeast * 64)) {}

  /// False: there is no room, and nothing has happened.
  bool add(std::string_view key, std::span<const std::byte> list) {
    if (size_ == most_) return false;
    Item item{};
    if (key.size() > kLongestShortKey) {
      item.hash = hash_of_long(key);
      item.key = {others_.put(key), std::uint64_t{0xFF} << 56};
      if (item.key.low == KeyArena::kNoRoom) return false;
    } else {
      item.key = pack_short(key.data(), key.size());
      item.hash = hash_of_short(item.key);
    }
    item.list = others_.put({reinterpret_cast<const char*>(list.data()), list.size()});
    if (item.list == KeyArena::kNoRoom) return false;
    std::construct_at(items() + size_++, item);
    return true;
  }
  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] std::size_t bytes() const { return size_ * kItemBytes + others_.bytes(); }
  void clear() {
    size_ = next_ = 0;
    list_ = {};
    others_.clear();
  }

  /// After the last add(). Only then is it a row of pairs.
  void sort() {
    auto* const orders = reinterpret_cast<std::uint64_t*>(order_.data());
    for (std::size_t i = 0; i < size_; ++i) {
      const auto hash = static_cast<std::uint32_t>(items()[i].hash << skipped_ >> 32);
      orders[i] = numbered(hash, static_cast<std::uint32_t>(i));
    }
    sorted_ = sort_by_hash({orders, size_}, {orders + most_, size_});
    for (std::size_t first = 0; first < size_;) {
      std::size_t last = first + 1;
      bool alike = true;
      for (; last < size_ && sorted_[last] >> 32 == sorted_[first] >> 32; ++last)
        alike = alike && same_key(at(first), at(last));
      if (!alike) sort_fully(sorted_.subspan(first, last - first));
      first = last;
    }
    if (size_ != 0) list_ = list_of(at(0));
  }
  [[nodiscard]] bool has_more() const override { return next_ != size_; }
  [[nodiscard]] std::string_view key() const override { return key_of(at(next_)); }
  V take(bool& more) override {
    V value = take_list_value<V>(list_);
    more = true;
    if (list_.empty()) more = step();
    return value;
  }
  /// All lists, sorted, as a slice.
  void pack(RunPacker& packer) const {
    for (std::size_t i = 0; i < size_; ++i) packer.put_record(key_of(at(i)), list_of(at(i)));
    packer.end_slice();
  }

 private:
  struct Item {
    std::uint64_t hash;
    PackedKey key;
    std::uint64_t list;  ///< where it is
  };
  static constexpr std::size_t kItemBytes = sizeof(Item) + 2 * sizeof(std::uint64_t);
  static constexpr std::size_t kLeast = 1024;
  static constexpr std::size_t kMost = ~std::uint32_t{0};

  [[nodiscard]] Item* items() const { return reinterpret_cast<Item*>(items_.data()); }
  [[nodiscard]] const Item& at(std::size_t place) const {
    return items()[number_of(sorted_[place])];
  }
  [[nodiscard]] std::string_view key_of(const Item& item) const {
    if (item.key.is_long()) return others_.at(item.key.low);
    return {reinterpret_cast<const char*>(&item.key), item.key.size()};
  }
  [[nodiscard]] std::span<const std::byte> list_of(const Item& item) const {
    return std::as_bytes(std::span(others_.at(item.list)));
  }
  [[nodiscard]] bool same_key(const Item& a, const Item& b) const {
    if (!a.key.is_long() || !b.key.is_long()) return a.key == b.key;
    return a.hash == b.hash && key_of(a) == key_of(b);
  }
  /// To the next list; true if it is of the same key.
  bool step() {
    const Item& before = at(next_++);
    if (next_ == size_) return false;
    list_ = list_of(at(next_));
    return same_key(before, at(next_));
  }
  void sort_fully(std::span<std::uint64_t> places) {
    std::ranges::stable_sort(places, [this](std::uint64_t a, std::uint64_t b) {
      const Item& first = items()[number_of(a)];
      const Item& second = items()[number_of(b)];
      if (first.hash != second.hash) return first.hash < second.hash;
      return is_before(first.key.is_long(), key_of(first), second.key.is_long(), key_of(second));
    });
  }

  const std::size_t most_;  ///< lists
  const int skipped_;
  PrivateMemory items_;
  PrivateMemory order_;
  KeyArena others_;
  std::size_t size_ = 0;
  std::span<std::uint64_t> sorted_;
  std::size_t next_ = 0;             ///< of the row
  std::span<const std::byte> list_;  ///< what is left of that one
};

}  // namespace bulkhead::detail
