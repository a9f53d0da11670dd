// SPDX-License-Identifier: MIT
//
// GroupBuffer: pairs in memory, which are put into the order of their keys' hashes. Those of one
// key stay in the order in which they came.
#pragma once

#include <bulkhead/bytes.hpp>
#include <bulkhead/codec.hpp>
#include <bulkhead/detail/combiner_table.hpp>
#include <bulkhead/detail/hash_order.hpp>
#include <bulkhead/detail/pair_row.hpp>
#include <bulkhead/detail/run_packer.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace bulkhead::detail {

template <class V>
class GroupBuffer final : public PairRow<V> {
 public:
  /// At most so many bytes of pairs; and of long keys, and of values that are not plain. The first
  /// `skipped` bits of all hashes are alike.
  GroupBuffer(std::size_t pair_bytes, std::size_t other_bytes, int skipped)
      : most_(std::clamp(pair_bytes / (sizeof(Item) + 2 * sizeof(std::uint64_t)), kLeast, kMost)),
        skipped_(skipped),
        items_(most_ * sizeof(Item)),
        order_(2 * most_ * sizeof(std::uint64_t)),
        others_(std::max(other_bytes, kLeast * 64)) {}

  /// False: there is no room, and nothing has happened.
  bool add(PackedKey key, const V& value) requires kInSlot<V> {
    if (size_ == most_) return false;
    put(Item{hash_of_short(key), key, value});
    return true;
  }
  /// The value as it travels. False likewise.
  bool add(std::string_view key, std::span<const std::byte> value) {
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
    if constexpr (kInSlot<V>) {
      SpanReader in(value);
      item.value = Codec<V>::decode(in);
    } else {
      item.value = others_.put({reinterpret_cast<const char*>(value.data()), value.size()});
      if (item.value == KeyArena::kNoRoom) return false;
    }
    put(item);
    return true;
  }
  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] std::size_t bytes() const {
    return size_ * (sizeof(Item) + 2 * sizeof(std::uint64_t)) + others_.bytes();
  }
  void clear() {
    size_ = next_ = 0;
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
  }
  [[nodiscard]] bool has_more() const override { return next_ != size_; }
  [[nodiscard]] std::string_view key() const override { return bytes_of(at(next_)); }
  V take(bool& more) override {
    const Item& item = at(next_++);
    more = next_ != size_ && same_key(item, at(next_));
    if (next_ + kAhead < size_) __builtin_prefetch(&at(next_ + kAhead));
    if constexpr (kInSlot<V>) {
      return item.value;
    } else {
      SpanReader in(std::as_bytes(std::span(others_.at(item.value))));
      return Codec<V>::decode(in);
    }
  }
  /// All pairs, sorted, as a slice.
  void pack(RunPacker& packer) const {
    for (std::size_t i = 0; i < size_; ++i) {
      const Item& item = at(i);
      if constexpr (kInSlot<V>) {
        item.key.is_long() ? packer.add_record(bytes_of(item), item.value)
                           : packer.add_row(item.key, item.value);
      } else {
        packer.put_record(bytes_of(item), std::as_bytes(std::span(others_.at(item.value))));
      }
    }
    packer.end_slice();
  }

 private:
  struct Item {
    std::uint64_t hash;
    PackedKey key;
    std::conditional_t<kInSlot<V>, V, std::uint64_t> value;  ///< or where it is, encoded
  };
  static constexpr std::size_t kLeast = 1024;
  static constexpr std::size_t kMost = ~std::uint32_t{0};
  static constexpr std::size_t kAhead = 8;

  [[nodiscard]] Item* items() const { return reinterpret_cast<Item*>(items_.data()); }
  [[nodiscard]] const Item& at(std::size_t place) const {
    return items()[number_of(sorted_[place])];
  }
  void put(const Item& item) { std::construct_at(items() + size_++, item); }
  [[nodiscard]] std::string_view bytes_of(const Item& item) const {
    if (item.key.is_long()) return others_.at(item.key.low);
    return {reinterpret_cast<const char*>(&item.key), item.key.size()};
  }
  [[nodiscard]] bool same_key(const Item& a, const Item& b) const {
    if (!a.key.is_long() || !b.key.is_long()) return a.key == b.key;
    return a.hash == b.hash && bytes_of(a) == bytes_of(b);
  }
  void sort_fully(std::span<std::uint64_t> places) {
    std::ranges::stable_sort(places, [this](std::uint64_t a, std::uint64_t b) {
      const Item& first = items()[number_of(a)];
      const Item& second = items()[number_of(b)];
      if (first.hash != second.hash) return first.hash < second.hash;
      return is_before(first.key.is_long(), bytes_of(first), second.key.is_long(),
                       bytes_of(second));
    });
  }

  const std::size_t most_;  ///< pairs
  const int skipped_;
  PrivateMemory items_;
  PrivateMemory order_;
  KeyArena others_;
  std::size_t size_ = 0;
  std::span<std::uint64_t> sorted_;
  std::size_t next_ = 0;  ///< of the row
};

}  // namespace bulkhead::detail
