// SPDX-License-Identifier: MIT
//
// What a mapper calls with each key and value: it adds them to its worker's table, some at a time,
// so that the memory of one is on its way while others are looked at.
#pragma once

#include <bulkhead/detail/combiner_table.hpp>
#include <bulkhead/detail/emitting.hpp>
#include <bulkhead/detail/key_bytes.hpp>
#include <bulkhead/detail/keyed_terms.hpp>
#include <bulkhead/error.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace bulkhead::detail {

/// `Seal` empties the table. `kOnes`: whatever the values are, each is taken for a one.
/// `kAnywhere`: the table may be emptied at any pair; else only where it is as large as it may be,
/// which does not depend on what has been in it before.
template <class K, class V, bool kOnes, bool kAnywhere, class Combine, class Seal>
class Emitter final : public Emitting {
 public:
  Emitter(CombinerTable<V>& table, Combine& combine, const Seal& seal, Counters& counters)
      : Emitting(counters), table_(table), combine_(combine), seal_(seal) {}

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
  /// A one.
  template <class Key>
    requires std::is_arithmetic_v<V>
  void operator()(const Key& key) { put(key, V{1}); }

  /// What has been emitted is in the table, or has been.
  void flush() {
    const std::size_t size = std::exchange(pending_, 0);  // also if something is thrown
    begin();
    make_room(size);
    for (std::size_t done = 0;;) {
      done += table_.add(&keys_[done], &hashes_[done], &values_[done], size - done, combine_);
      if (done == size) break;
      make_more_room();
    }
    since_ += size;
    end(size);
  }

 private:
  static constexpr std::size_t kBatch = 64;
  /// A table that is larger than the caches is worth its memory only if keys come again and again.
  static constexpr std::size_t kCached = std::size_t{16} << 20;

  template <class Key>
  void put(const Key& key, V value) {
    with_bytes<K>(key, [&](std::string_view bytes) { add(bytes, value); });
  }
  void add(std::string_view bytes, V& value) {
    if (bytes.size() > kLongestShortKey) return add_long(bytes, value);
    keys_[pending_] = pack_short(bytes.data(), bytes.size());
    hashes_[pending_] = hash_of_short(keys_[pending_]);
    table_.prefetch(hashes_[pending_]);
    values_[pending_] = std::move(value);
    if (++pending_ == kBatch) flush();
  }
  void add_long(std::string_view bytes, V& value) {
    begin();
    make_room(1);
    while (!table_.add_long(bytes, hash_of_long(bytes), value, combine_)) {
      if (table_.size() == 0) refuse_key(bytes.size());
      make_more_room();
    }
    ++since_;
    end(1);
  }

  [[noreturn]] static void refuse_key(std::size_t bytes) {
    throw Error("bulkhead: a key of " + std::to_string(bytes) +
                " bytes is too large for the memory of a keyed job");
  }

  /// So many are about to be added.
  void make_room(std::size_t size) {
    if (!table_.has_room(kBatch)) [[unlikely]]
      make_more_room();
    if (table_.has_large_values(size)) [[unlikely]]
      seal();
  }
  void make_more_room() {
    const bool pays = !kAnywhere || table_.bytes() < kCached || since_ >= 2 * table_.size();
    if (table_.can_grow() && pays && !table_.has_room(kBatch)) return table_.grow();
    seal();
  }
  void seal() {
    seal_();
    since_ = 0;
  }

  CombinerTable<V>& table_;
  Combine& combine_;
  const Seal& seal_;
  std::array<PackedKey, kBatch> keys_;
  std::array<std::uint64_t, kBatch> hashes_;
  std::array<V, kBatch> values_{};
  std::size_t pending_ = 0;
  std::uint64_t since_ = 0;  ///< the table was empty
};

}  // namespace bulkhead::detail
