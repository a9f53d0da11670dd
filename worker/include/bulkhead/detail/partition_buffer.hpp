// SPDX-License-Identifier: MIT
//
// PartitionBuffer: pairs as they were emitted, packed, by partition: those of one stay in the order
// in which they came.
#pragma once

#include <bulkhead/codec.hpp>
#include <bulkhead/detail/packed_key.hpp>
#include <bulkhead/detail/run_packer.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

namespace bulkhead::detail {

template <class V>
class PartitionBuffer {
 public:
  /// 2^bits partitions of keys, and about so many bytes at the most.
  PartitionBuffer(std::size_t bytes, int bits)
      : most_(bytes / 2), bits_(bits), partitions_(std::size_t{1} << bits) {}

  /// False: there is no room for another pair, but in an empty one. Nothing has happened.
  bool add(std::string_view key, const V& value) {
    if (bytes_ >= most_ && size_ != 0) return false;
    const bool is_long = key.size() > kLongestShortKey;
    const PackedKey packed = is_long ? PackedKey{} : pack_short(key.data(), key.size());
    const std::uint64_t hash = is_long ? hash_of_long(key) : hash_of_short(packed);
    PackedPairs& pairs = partitions_[bits_ == 0 ? 0 : hash >> (64 - bits_)];
    const std::size_t before = pairs.bytes();
    if constexpr (kInSlot<V>) {
      if (is_long) {
        pairs.add_record(key, value);
      } else {
        pairs.add_row(packed, value);
      }
    } else {
      pairs.add_record(key, value);
    }
    bytes_ += pairs.bytes() - before;
    ++size_;
    return true;
  }
  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] std::size_t bytes() const { return bytes_; }
  void clear() {
    // What one partition once had room for, others may need now.
    const bool is_too_large = std::exchange(bytes_, 0) >= most_;
    for (PackedPairs& pairs : partitions_) {
      if (is_too_large) {
        pairs = {};
      } else {
        pairs.clear();
      }
    }
    size_ = 0;
  }

  /// All pairs, as a run: a slice for each partition.
  friend std::vector<Slice> pack(PartitionBuffer& buffer, int, RunFiles& files, RunFile file) {
    RunPacker packer(files, file);
    for (const PackedPairs& pairs : buffer.partitions_) packer.add_slice(pairs);
    return packer.take();
  }

 private:
  const std::size_t most_;
  const int bits_;
  std::vector<PackedPairs> partitions_;
  std::size_t bytes_ = 0;
  std::size_t size_ = 0;  ///< pairs
};

}  // namespace bulkhead::detail
