// SPDX-License-Identifier: MIT
//
// What a mapper calls with each key and value, where all values of a key are to be kept: it adds
// them to its worker's lists, some at a time, so that the memory of one is on its way while others
// are looked at.
#pragma once

#include <bulkhead/detail/element_mark.hpp>
#include <bulkhead/detail/emitting.hpp>
#include <bulkhead/detail/key_bytes.hpp>
#include <bulkhead/detail/keyed_terms.hpp>
#include <bulkhead/detail/list_table.hpp>
#include <bulkhead/detail/value_list.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <type_traits>
#include <utility>

namespace bulkhead::detail {

/// `Seal` empties the table.
template <class K, class V, class Seal>
class GroupEmitter final : public Emitting {
 public:
  GroupEmitter(ListTable<V>& table, const Seal& seal, Counters& counters)
      : Emitting(counters), table_(table), seal_(seal) {}

  template <class Key>
  void operator()(const Key& key, const V& value) {
    with_bytes<K>(key, [&](std::string_view key_bytes) {
      with_list_bytes(value, [&](std::span<const std::byte> bytes) { add(key_bytes, bytes); });
    });
  }
  /// Of what is no V, but makes one: a std::string_view for a std::string.
  template <class Key, class Any>
    requires(!std::is_convertible_v<const Any&, V> && std::is_constructible_v<V, const Any&>)
  void operator()(const Key& key, const Any& value) { (*this)(key, V(value)); }
  template <class Key, class Any>
    requires(!std::is_convertible_v<const Any&, V> && !std::is_constructible_v<V, const Any&>)
  void operator()(const Key&, const Any&) { refuse_value<V, Any>(); }
  /// A one.
  template <class Key>
    requires std::is_arithmetic_v<V>
  void operator()(const Key& key) { (*this)(key, V{1}); }

  /// What has been emitted is in the table, or has been.
  void flush() {
    begin();
    for (std::size_t done = 0; done != pending_;) done += add_some(done);
    values_.clear();
    end(std::exchange(pending_, 0));
  }

 private:
  static constexpr std::size_t kBatch = 64;
  static constexpr std::size_t kManyBytes = std::size_t{16} << 10;

  void add(std::string_view key, std::span<const std::byte> value) {
    require_whole();
    if (value.size() > table_.largest_value()) refuse_large_pair(key.size() + value.size());
    if (key.size() > kLongestShortKey) return add_long(key, value);
    keys_[pending_] = pack_short(key.data(), key.size());
    hashes_[pending_] = hash_of_short(keys_[pending_]);
    table_.prefetch(hashes_[pending_]);
    values_.append(value.data(), value.size());
    ends_[pending_] = values_.size();
    if (++pending_ == kBatch || values_.size() > kManyBytes) flush();
  }
  void add_long(std::string_view key, std::span<const std::byte> value) {
    begin();
    const std::uint64_t hash = hash_of_long(key);
    for (;;) {
      make_room(1, value.size());
      if (ListPlace* const list = table_.find_or_place_long(key, hash)) {
        table_.append(*list, value);
        return end(1);
      }
      if (table_.size() == 0) refuse_large_pair(key.size() + value.size());
      seal_();
    }
  }

  /// How many of the pending ones, from that one on.
  std::size_t add_some(std::size_t first) {
    make_room(pending_ - first, values_.size() - begin_of(first));
    std::array<ListPlace*, kBatch> lists;
    std::size_t last = first;
    for (; last != pending_; ++last) {
      lists[last] = table_.find_or_place(keys_[last], hashes_[last]);
      if (lists[last] == nullptr) break;
      table_.prefetch(*lists[last]);
    }
    for (std::size_t i = first; i != last; ++i) {
      table_.append(*lists[i], values_.bytes().subspan(begin_of(i), ends_[i] - begin_of(i)));
    }
    if (last == first) seal_();
    return last - first;
  }
  void make_room(std::size_t keys, std::size_t bytes) {
    if (table_.has_room(keys, bytes)) [[likely]]
      return;
    const OwnTime time;
    if (!table_.grow(keys) || !table_.has_room(keys, bytes)) seal_();
  }
  [[nodiscard]] std::size_t begin_of(std::size_t i) const { return i == 0 ? 0 : ends_[i - 1]; }

  ListTable<V>& table_;
  const Seal& seal_;
  std::array<PackedKey, kBatch> keys_;
  std::array<std::uint64_t, kBatch> hashes_;
  std::array<std::size_t, kBatch> ends_;  ///< of the values
  PackedBytes values_;
  std::size_t pending_ = 0;
};

}  // namespace bulkhead::detail
