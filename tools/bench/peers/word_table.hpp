// SPDX-License-Identifier: MIT
// Words of a text in a table, as fast as one thread can have them there: table, tokenizer and what
// is between them are bulkhead's own. Words have 15 bytes at the most; with tiny keys, which make
// it smaller, 7.

#pragma once

#include "bench.hpp"
#include <bulkhead/detail/combiner_table.hpp>
#include <bulkhead/detail/pair_batch.hpp>
#include <bulkhead/text.hpp>

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace bench {

inline constexpr std::size_t kNoLimit = std::size_t{8} << 30;

inline void take(bulkhead::detail::PackedKey from, bulkhead::detail::PackedKey& key) {
  key = from;
}
inline void take(bulkhead::detail::PackedKey from, bulkhead::detail::TinyKey& key) {
  key = bulkhead::detail::TinyKey::of(from);
}

template <class V, class Key, class Combine>
void put(bulkhead::detail::CombinerTable<V, Key>& table, const Key* keys,
         const std::uint64_t* hashes, V* values, std::size_t count, Combine& combine) {
  while (!table.has_room(count)) table.grow();
  require(table.add(keys, hashes, values, count, combine), "a table is full");
}

/// Adds `value` for each word.
template <class V, class Key, class Combine>
void put_words(std::string_view text, const V& value,
               bulkhead::detail::CombinerTable<V, Key>& table, Combine& combine) {
  bulkhead::detail::PairBatch<V, Key> batch;
  const auto add = [&](const Key* keys, const std::uint64_t* hashes, V* values, std::size_t count) {
    put(table, keys, hashes, values, count, combine);
  };
  for (const std::string_view word : bulkhead::words(text)) {
    Key key;
    take(bulkhead::detail::pack_short(word.data(), word.size()), key);
    V copy = value;
    if (batch.put(key, bulkhead::detail::hash_of_short(key), copy)) batch.turn(table, add);
  }
  batch.take(add);
}

/// Adds all of another one's.
template <class V, class Key, class Combine>
void put_all(bulkhead::detail::CombinerTable<V, Key>& from,
             bulkhead::detail::CombinerTable<V, Key>& table, Combine& combine) {
  using Slot = typename bulkhead::detail::CombinerTable<V, Key>::Slot;
  from.walk(0, 0, [&](Slot& slot) {
    const std::uint64_t hash = table.hash_of(slot);
    put(table, &slot.key, &hash, &slot.value, 1, combine);
  });
}

}  // namespace bench
