// SPDX-License-Identifier: MIT
//
// Packs keys and values into slices: see run_files.hpp for their layout.
#pragma once

#include <bulkhead/bytes.hpp>
#include <bulkhead/codec.hpp>
#include <bulkhead/detail/combiner_table.hpp>
#include <bulkhead/detail/run_files.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

namespace bulkhead::detail {

/// Bytes at whose end others are put.
class PackedBytes {
 public:
  /// Room for so many more. What is written there belongs to it from end_at() on.
  std::byte* room(std::size_t bytes) {
    if (capacity_ - size_ < bytes) grow(bytes);
    return memory_.get() + size_;
  }
  void end_at(const std::byte* end) { size_ = static_cast<std::size_t>(end - memory_.get()); }
  void append(const void* data, std::size_t bytes) {
    std::memcpy(room(bytes), data, bytes);
    size_ += bytes;
  }
  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] std::span<const std::byte> bytes() const { return {memory_.get(), size_}; }
  void clear() { size_ = 0; }

 private:
  void grow(std::size_t bytes) {
    capacity_ += std::max(capacity_ / 2, bytes + kLeast);
    auto larger = std::make_unique_for_overwrite<std::byte[]>(capacity_);
    if (size_ != 0) std::memcpy(larger.get(), memory_.get(), size_);
    memory_ = std::move(larger);
  }

  static constexpr std::size_t kLeast = std::size_t{4} << 10;

  std::unique_ptr<std::byte[]> memory_;
  std::size_t capacity_ = 0;
  std::size_t size_ = 0;
};

class RunPacker {
 public:
  explicit RunPacker(RunFiles& files) : files_(files) {}

  template <class V>
  void add_row(PackedKey key, const V& value) {
    bytes_.end_at(RowCodec<V>::put(key, value, bytes_.room(RowCodec<V>::kMost)));
  }
  template <class V>
  void add_record(std::string_view key, const V& value) {
    std::array<std::byte, 256> memory;
    SpillWriter out(memory);
    Codec<V>::encode(value, out);
    if (!out.spilled()) return put_record(key, std::span(memory).first(out.size()));
    const std::vector<std::byte> bytes = out.take();
    put_record(key, bytes);
  }
  /// The value as it travels.
  void put_record(std::string_view key, std::span<const std::byte> value) {
    const std::array<std::uint32_t, 2> sizes{static_cast<std::uint32_t>(key.size()),
                                             static_cast<std::uint32_t>(value.size())};
    records_.append(sizes.data(), sizeof sizes);
    records_.append(key.data(), key.size());
    records_.append(value.data(), value.size());
  }
  /// What has been added since the last call is a slice.
  void end_slice() {
    const std::size_t row_bytes = bytes_.size() - begin_;
    if (bytes_.size() == 0) {
      std::swap(bytes_, records_);  // there may be much, and nothing before it
    } else if (records_.size() != 0) {
      bytes_.append(records_.bytes().data(), records_.size());
    }
    records_.clear();
    slices_.push_back({kInMemory, static_cast<std::uint32_t>(row_bytes), begin_,
                       bytes_.size() - begin_, row_bytes});
    begin_ = bytes_.size();
    if (begin_ >= kMuch) flush();
  }
  /// Bytes of the present slice.
  [[nodiscard]] std::size_t pending() const { return bytes_.size() - begin_ + records_.size(); }
  /// All slices, which have been written.
  std::vector<Slice> take() {
    flush();
    return std::exchange(slices_, {});
  }

 private:
  static constexpr std::size_t kMuch = std::size_t{1} << 20;

  void flush() {
    if (written_ == slices_.size()) return;
    files_.append(bytes_.bytes(), std::span(slices_).subspan(written_));
    written_ = slices_.size();
    bytes_.clear();
    begin_ = 0;
  }

  RunFiles& files_;
  PackedBytes bytes_;    ///< slices that are not written, then the rows of the present one
  PackedBytes records_;  ///< of the present one
  std::vector<Slice> slices_;
  std::size_t written_ = 0;  ///< slices
  std::size_t begin_ = 0;    ///< of the present slice
};

/// Adds what is in a table of one of 2^bits partitions.
template <class V, class Key>
void pack(CombinerTable<V, Key>& table, std::uint64_t partition, int bits, RunPacker& packer) {
  table.walk(partition, bits, [&](auto& slot) {
    const PackedKey key = slot.key.packed();
    if constexpr (kInSlot<V>) {
      if (!key.is_long()) return packer.add_row(key, slot.value);
    }
    packer.add_record(table.bytes_of(key), table.value_of(slot));
  });
}

}  // namespace bulkhead::detail
