// SPDX-License-Identifier: MIT
//
// SliceMerge: rows and records of a slice, which are in the order of hashes each, as one.
#pragma once

#include <bulkhead/codec.hpp>
#include <bulkhead/detail/run_files.hpp>
#include <bulkhead/detail/run_packer.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <type_traits>

namespace bulkhead::detail {

/// The pairs of a slice, in the order of their keys' hashes.
template <class V>
class SliceMerge {
 public:
  SliceMerge(RunFiles& files, const Slice& slice, std::size_t piece = SliceReader::kPiece)
      : rows_(files, slice.rows(), piece), records_(files, slice.records(), piece) {
    next_row();
    next_record();
  }

  /// False: there is no other. `use(std::string_view key, V value)`.
  template <class Use>
  bool next(Use use) {
    if (!has_row_ && !record_) return false;
    if (has_row_ && (!record_ || hash_of_short(key_) <= record_hash_)) {
      const PackedKey key = key_;
      const Kept value = value_;
      next_row();
      if constexpr (kInSlot<V>)
        use(std::string_view(reinterpret_cast<const char*>(&key), key.size()), value);
    } else {
      SpanReader in(record_->value);
      use(record_->key, Codec<V>::decode(in));
      next_record();
    }
    return true;
  }

 private:
  struct Nothing {};
  using Kept = std::conditional_t<kInSlot<V>, V, Nothing>;

  void next_row() {
    if constexpr (kInSlot<V>) {
      const std::byte* const row = rows_.row(RowCodec<V>::kMost);
      has_row_ = row != nullptr;
      if (has_row_) rows_.step(static_cast<std::size_t>(RowCodec<V>::get(row, key_, value_) - row));
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
  bool has_row_ = false;
  PackedKey key_;
  Kept value_{};
  std::optional<SliceReader::Record> record_;
  std::uint64_t record_hash_ = 0;
};

}  // namespace bulkhead::detail
