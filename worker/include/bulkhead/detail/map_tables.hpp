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
      : tiny(slot_bytes / 2, 0), others(slot_bytes / 2, key_bytes), slot_bytes_(slot_bytes) {}

  /// From now on each may grow by what the other one has not taken, instead of to half of all.
  void share_memory() {
    tiny.limit(slot_bytes_ - std::min(others.slot_bytes(), slot_bytes_));
    others.limit(slot_bytes_ - std::min(tiny.slot_bytes(), slot_bytes_));
  }

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
  const std::size_t slot_bytes_;
};

}  // namespace bulkhead::detail
