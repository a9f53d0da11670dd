// SPDX-License-Identifier: MIT
//
// ListTable: keys with all values of each, in the order in which they came, in memory of this
// process alone.
#pragma once

#include <bulkhead/detail/combiner_table.hpp>
#include <bulkhead/detail/list_arena.hpp>
#include <bulkhead/detail/run_packer.hpp>
#include <bulkhead/detail/value_list.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace bulkhead::detail {

template <class V>
class ListTable {
 public:
  /// Of so many bytes, all together.
  explicit ListTable(std::size_t bytes)
      : keys_(bytes / 4, bytes / 8), lists_(bytes / 8 * 5), most_(bytes / 4) {}

  void prefetch(std::uint64_t hash) const { keys_.prefetch(hash); }
  void prefetch(const ListPlace& list) const { lists_.prefetch(list); }

  /// A list of that key's, for as long as no other is asked for that is not there. Null: there is
  /// no room for it.
  ListPlace* find_or_place(PackedKey key, std::uint64_t hash) {
    return keys_.find_or_place(key, hash);
  }
  ListPlace* find_or_place_long(std::string_view key, std::uint64_t hash) {
    return keys_.find_or_place_long(key, hash);
  }
  void append(ListPlace& list, std::span<const std::byte> value) {
    if constexpr (kInSlot<V>) {
      lists_.template append<sizeof(V)>(list, value.data());
    } else {
      lists_.append(list, value);
    }
  }

  /// For so many further keys, and so many bytes of values.
  [[nodiscard]] bool has_room(std::size_t keys, std::size_t bytes) const {
    return keys_.has_room(keys) && lists_.has_room(bytes, keys);
  }
  /// Makes some for keys; false: it cannot.
  bool grow(std::size_t keys) {
    while (!keys_.has_room(keys)) {
      if (!keys_.can_grow()) return false;
      keys_.grow();
    }
    return true;
  }
  /// A value that is larger never has room.
  [[nodiscard]] std::size_t largest_value() const { return most_; }
  [[nodiscard]] std::size_t size() const { return keys_.size(); }
  [[nodiscard]] std::size_t bytes() const { return keys_.bytes() + lists_.bytes(); }
  void clear() {
    keys_.clear();
    lists_.clear();
  }

  /// All lists, as a run: a slice for each of 2^bits partitions.
  friend std::vector<Slice> pack(ListTable& table, int bits, RunFiles& files) {
    RunPacker packer(files);
    std::vector<std::byte> list;
    for (std::uint64_t partition = 0; partition >> bits == 0; ++partition) {
      table.keys_.walk(partition, bits, [&](auto& slot) {
        table.pack_list(table.keys_.bytes_of(slot.key), slot.value, list, packer);
      });
      packer.end_slice();
    }
    return packer.take();
  }

 private:
  void pack_list(std::string_view key, const ListPlace& place, std::vector<std::byte>& list,
                 RunPacker& packer) const {
    list.clear();
    const auto pack_part = [&](std::span<const std::byte> part) { packer.put_record(key, part); };
    const auto pack_most = [&] {
      const std::size_t taken = split_list<V>(list, kMostListBytes, pack_part);
      list.erase(list.begin(), list.begin() + static_cast<std::ptrdiff_t>(taken));
    };
    lists_.for_each(place, [&](std::span<const std::byte> bytes) {
      list.insert(list.end(), bytes.begin(), bytes.end());
      if (list.size() >= 4 * kMostListBytes) pack_most();  // it need not be here as a whole
    });
    pack_most();
    if (!list.empty()) pack_part(list);
  }

  CombinerTable<ListPlace> keys_;
  ListArena lists_;
  const std::size_t most_;
};

}  // namespace bulkhead::detail
