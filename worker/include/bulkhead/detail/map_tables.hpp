// SPDX-License-Identifier: MIT
//
// MapTables: what a worker combines in while it maps. Tiny keys have a table by themselves, with
// slots that take a third less, so that twice as many of them are in the caches with those of the
// other worker.
#pragma once

#include <bulkhead/detail/combiner_table.hpp>
#include <bulkhead/detail/run_packer.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace bulkhead::detail {

template <class V>
class MapTables {
 public:
  /// Of so many bytes of slots, all together, and of long keys.
  MapTables(std::size_t slot_bytes, std::size_t key_bytes)
      : tiny(slot_bytes / 2, 0),
        others(slot_bytes / 2, key_bytes),
        slot_bytes_(slot_bytes),
        key_bytes_(key_bytes) {}

  /// From now on, until one has grown, the tables and the long keys may each grow by what the
  /// others have not taken, instead of to a share of all. Something is always left for long keys.
  void share_memory() {
    const std::size_t keys = std::max(others.touched_key_bytes(), key_bytes_ / 2);
    limit(tiny, left_by(others.slot_bytes() + keys));
    limit(others, left_by(tiny.slot_bytes() + keys));
    others.limit_keys(left_by(tiny.slot_bytes() + others.slot_bytes()));
  }
  /// A key that has more never has room, and any other one has if the tables are empty and cleared
  /// twice. Bytes.
  [[nodiscard]] std::size_t longest_key() const { return KeyArena::longest(key_bytes_); }

  CombinerTable<V, TinyKey> tiny;
  CombinerTable<V> others;

  [[nodiscard]] std::size_t slot_bytes() const { return slot_bytes_; }
  [[nodiscard]] std::size_t size() const { return tiny.size() + others.size(); }
  [[nodiscard]] std::size_t bytes() const { return tiny.bytes() + others.bytes(); }
  void clear() {
    tiny.clear();
    others.clear();
  }

  /// All that is in them, as a run: a slice for each of 2^bits partitions.
  friend std::vector<Slice> pack(MapTables& tables, int bits, RunFiles& files) {
    RunPacker packer(files);
    for (std::uint64_t partition = 0; partition >> bits == 0; ++partition) {
      pack(tables.tiny, partition, bits, packer);
      pack(tables.others, partition, bits, packer);
      packer.end_slice();
    }
    return packer.take();
  }

 private:
  /// But not so that it would grow by next to nothing.
  template <class Table>
  static void limit(Table& table, std::size_t bytes) {
    const std::size_t now = table.slot_bytes();
    table.limit(bytes > now && bytes - now < now / 8 ? now : bytes);
  }
  [[nodiscard]] std::size_t left_by(std::size_t taken) const {
    return slot_bytes_ + key_bytes_ - std::min(taken, slot_bytes_ + key_bytes_);
  }

  const std::size_t slot_bytes_;
  const std::size_t key_bytes_;
};

}  // namespace bulkhead::detail
