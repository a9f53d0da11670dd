// SPDX-License-Identifier: MIT
//
// SliceMerge: rows and records of a slice, which are in the order of hashes each, as one.
#pragma once

#include <bulkhead/codec.hpp>
#include <bulkhead/detail/run_files.hpp>
#include <bulkhead/detail/run_packer.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string_view>

namespace bulkhead::detail {

/// The pairs of a slice, in the order of their keys' hashes.
template <class V>
class SliceMerge {
 public:
  SliceMerge(RunFiles& files, const Slice& slice, std::size_t piece = SliceReader::kPiece)
      : rows_(files, {slice.file, slice.rows, slice.offset, row_bytes(slice)}, piece),
        records_(files,
                 {slice.file, 0, slice.offset + row_bytes(slice), slice.bytes - row_bytes(slice)},
                 piece) {
    next_row();
    next_record();
  }

  /// False: there is no other. `use(std::string_view key, V value)`.
  template <class Use>
  bool next(Use use) {
    if (row_ == nullptr && !record_) return false;
    if (row_ != nullptr && (!record_ || hash_of_short(row_->key) <= record_hash_)) {
      const RunRow<V> row = *row_;
      next_row();
      use(std::string_view(reinterpret_cast<const char*>(&row.key), row.key.size()), row.value);
    } else {
      SpanReader in(record_->value);
      use(record_->key, Codec<V>::decode(in));
      next_record();
    }
    return true;
  }

 private:
  struct NoRow {
    PackedKey key;
  };
  static std::uint64_t row_bytes(const Slice& slice) {
    if constexpr (kInSlot<V>) {
      return slice.rows * sizeof(RunRow<V>);
    } else {
      return 0;
    }
  }
  void next_row() {
    if constexpr (kInSlot<V>) {
      if (batch_.empty()) batch_ = rows_.rows(sizeof(RunRow<V>));
      if (batch_.empty()) {
        row_ = nullptr;
        return;
      }
      std::memcpy(static_cast<void*>(&copy_), batch_.data(), sizeof copy_);
      batch_ = batch_.subspan(sizeof copy_);
      row_ = &copy_;
    }
  }
  void next_record() {
    record_.emplace();
    if (!records_.next(*record_)) {
      record_.reset();
      return;
    }
    record_hash_ = hash_of(record_->key);
  }

  SliceReader rows_;
  SliceReader records_;
  std::span<const std::byte> batch_;
  RunRow<V> copy_{};
  const RunRow<V>* row_ = nullptr;
  std::optional<SliceReader::Record> record_;
  std::uint64_t record_hash_ = 0;
};

}  // namespace bulkhead::detail
