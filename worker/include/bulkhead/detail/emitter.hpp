// SPDX-License-Identifier: MIT
//
// What a mapper calls with each key and value: it adds them to its worker's tables, some at a time,
// so that the memory of one is on its way while others are looked at.
#pragma once

#include <bulkhead/detail/element_mark.hpp>
#include <bulkhead/detail/emitting.hpp>
#include <bulkhead/detail/encoded_size.hpp>
#include <bulkhead/detail/key_bytes.hpp>
#include <bulkhead/detail/keyed_terms.hpp>
#include <bulkhead/detail/map_tables.hpp>
#include <bulkhead/detail/pair_batch.hpp>
#include <bulkhead/error.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace bulkhead::detail {

/// `Seal` empties the tables. `kOnes`: whatever the values are, each is taken for a one.
/// `kAnywhere`: tables may be emptied at any pair; else only where one is as large as it may be,
/// which does not depend on what has been in it before.
template <class K, class V, bool kOnes, bool kAnywhere, class Combine, class Seal>
class Emitter final : public Emitting {
 public:
  Emitter(MapTables<V>& tables, Combine& combine, const Seal& seal, Counters& counters)
      : Emitting(counters), tables_(tables), combine_(combine), seal_(seal) {}

  template <class Key, class Any>
  requires kOnes void operator()(const Key& key, const Any&) { (*this)(key); }
  template <class Key>
    requires(!kOnes)
  void operator()(const Key& key, V value) { put(key, std::move(value)); }
  /// Of what is no V, but makes one: a std::string_view for a std::string.
  template <class Key, class Any>
    requires(!kOnes && !std::is_convertible_v<const Any&, V> &&
             std::is_constructible_v<V, const Any&>)
  void operator()(const Key& key, const Any& value) { put(key, V(value)); }
  template <class Key, class Any>
    requires(!kOnes && !std::is_convertible_v<const Any&, V> &&
             !std::is_constructible_v<V, const Any&>)
  void operator()(const Key&, const Any&) { refuse_value<V, Any>(); }
  /// A one.
  template <class Key>
    requires std::is_arithmetic_v<V>
  void operator()(const Key& key) { put(key, V{1}); }

  /// What has been emitted is in the tables, or has been.
  void flush() {
    tiny_.take(adder(tables_.tiny));
    others_.take(adder(tables_.others));
  }

 private:
  static constexpr std::size_t kBatch = PairBatch<V, TinyKey>::kHalf;
  /// A table that is larger than the caches is worth its memory only if keys come again and again.
  static constexpr std::size_t kCached = std::size_t{8} << 20;

  template <class Key>
  void put(const Key& key, V value) {
    if constexpr (!kInSlot<V>) make_room_for(value);
    with_bytes<K>(key, [&](std::string_view bytes) { add(bytes, value); });
  }
  void add(std::string_view bytes, V& value) {
    if (bytes.size() > kLongestShortKey) return add_long(bytes, value);
    const PackedKey key = pack_short(bytes.data(), bytes.size());
    const std::uint64_t hash = hash_of_short(key);
    if (TinyKey::has_room(key)) {
      if (tiny_.put(TinyKey::of(key), hash, value)) turn(tables_.tiny, tiny_);
    } else {
      if (others_.put(key, hash, value)) turn(tables_.others, others_);
    }
  }
  void add_long(std::string_view bytes, V& value) {
    if (bytes.size() > tables_.longest_key()) refuse_key(bytes.size());
    begin();
    make_room(tables_.others);
    if constexpr (kAnywhere) {
      if (!tables_.others.has_room_for_key(bytes.size())) tables_.share_memory();
    }
    while (!tables_.others.add_long(bytes, hash_of_long(bytes), value, combine_)) {
      if (tables_.size() != 0) {
        make_more_room(tables_.others);
      } else {  // but as large as when they were full
        tables_.clear();
        if constexpr (kAnywhere) tables_.share_memory();
      }
    }
    ++since_;
    end(1);
  }
  /// Once in many pairs: inlined, it would take the registers of what is done for each.
  template <class Table, class Batch>
  [[gnu::noinline]] void turn(Table& table, Batch& batch) {
    batch.turn(table, adder(table));
  }
  template <class Table>
  auto adder(Table& table) {
    return [this, &table](const auto* keys, const std::uint64_t* hashes, V* values,
                          std::size_t count) {
      begin();
      make_room(table);
      while (!table.add(keys, hashes, values, count, combine_)) make_more_room(table);
      since_ += count;
      end(count);
    };
  }

  [[noreturn]] static void refuse_key(std::size_t bytes) {
    throw Error("bulkhead: a key of " + std::to_string(bytes) +
                " bytes is too large for the memory of a keyed job: raise KeyedOptions::memory");
  }

  /// For some more.
  template <class Table>
  void make_room(Table& table) {
    if (!table.has_room(kBatch)) [[unlikely]]
      make_more_room(table);
  }
  /// What values take of the heap is reckoned by what was emitted, as the heap itself tells
  /// something else each time.
  void make_room_for(const V& value) {
    constexpr std::size_t kBeside = 64;
    const std::size_t bytes = encoded_size(value) + kBeside;
    if (heap_bytes_ + bytes > tables_.slot_bytes()) {
      flush();
      begin();
      seal();
      end(0);
    }
    heap_bytes_ += bytes;
  }
  template <class Table>
  void make_more_room(Table& table) {
    const bool is_full = !table.has_room(kBatch);  // else many keys have such a hash
    const bool pays = !kAnywhere || table.bytes() < kCached || since_ >= 2 * tables_.size();
    if constexpr (kAnywhere) tables_.share_memory();
    if (is_full && table.has_room(kBatch)) return;  // as much as one has that cannot grow
    if (!is_full || !pays || !table.can_grow()) return seal();
    const OwnTime time;
    table.grow();
    if constexpr (kAnywhere) tables_.share_memory();
  }
  void seal() {
    if (tables_.size() != 0) seal_();
    since_ = 0;
    heap_bytes_ = 0;
  }

  MapTables<V>& tables_;
  Combine& combine_;
  const Seal& seal_;
  PairBatch<V, TinyKey> tiny_;
  PairBatch<V, PackedKey> others_;
  std::size_t heap_bytes_ = 0;  ///< of values, since then
  std::uint64_t since_ = 0;     ///< pairs, since the tables were empty
};

}  // namespace bulkhead::detail
