// SPDX-License-Identifier: MIT
//
// Packs keys and values into slices: see run_files.hpp for their layout.
#pragma once

#include <bulkhead/bytes.hpp>
#include <bulkhead/codec.hpp>
#include <bulkhead/detail/combiner_table.hpp>
#include <bulkhead/detail/run_files.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

namespace bulkhead::detail {

/// A short key with a plain value.
template <class V>
struct RunRow {
  PackedKey key;
  V value;
};

class RunPacker {
 public:
  RunPacker(RunFiles& files, RunFile file) : files_(files), file_(file) {}

  template <class V>
  void add_row(PackedKey key, const V& value) {
    const RunRow<V> row{key, value};
    append(bytes_, &row, sizeof row);
    ++rows_;
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
    append(records_, sizes.data(), sizeof sizes);
    append(records_, key.data(), key.size());
    append(records_, value.data(), value.size());
  }
  /// What has been added since the last call is a slice.
  void end_slice() {
    bytes_.insert(bytes_.end(), records_.begin(), records_.end());
    records_.clear();
    slices_.push_back({file_, rows_, begin_, bytes_.size() - begin_});
    rows_ = 0;
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

  static void append(std::vector<std::byte>& to, const void* data, std::size_t size) {
    const auto* const bytes = static_cast<const std::byte*>(data);
    to.insert(to.end(), bytes, bytes + size);
  }
  void flush() {
    if (written_ == slices_.size()) return;
    const Slice all = files_.append(file_, bytes_);
    for (; written_ < slices_.size(); ++written_) slices_[written_].offset += all.offset;
    bytes_.clear();
    begin_ = 0;
  }

  RunFiles& files_;
  const RunFile file_;
  std::vector<std::byte> bytes_;
  std::vector<std::byte> records_;
  std::vector<Slice> slices_;
  std::size_t written_ = 0;  ///< slices
  std::size_t begin_ = 0;    ///< of the present slice
  std::uint32_t rows_ = 0;
};

/// All that is in a table, as a run: a slice for each of 2^bits partitions.
template <class V>
std::vector<Slice> pack(CombinerTable<V>& table, int bits, RunFiles& files, RunFile file) {
  using Table = CombinerTable<V>;
  RunPacker packer(files, file);
  for (std::uint64_t partition = 0; partition >> bits == 0; ++partition) {
    table.walk(partition, bits, [&](typename Table::Slot& slot) {
      if constexpr (kInSlot<V>) {
        if (!slot.key.is_long()) return packer.add_row(slot.key, slot.value);
      }
      packer.add_record(table.bytes_of(slot), Table::value_of(slot));
    });
    packer.end_slice();
  }
  return packer.take();
}

}  // namespace bulkhead::detail
