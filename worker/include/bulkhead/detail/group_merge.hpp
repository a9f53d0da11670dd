// SPDX-License-Identifier: MIT
//
// GroupMerge: slices of lists, in the order of hashes, as one row of pairs; those of a key are in
// the order of the slices. Holds a piece of each slice in memory, however large they are.
#pragma once

#include <bulkhead/detail/packed_key.hpp>
#include <bulkhead/detail/pair_row.hpp>
#include <bulkhead/detail/run_files.hpp>
#include <bulkhead/detail/value_list.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace bulkhead::detail {

template <class V>
class GroupMerge final : public PairRow<V> {
 public:
  GroupMerge(RunFiles& files, const std::vector<Slice>& slices, std::size_t piece) {
    for (std::size_t run = 0; run < slices.size(); ++run) {
      auto cursor = std::make_unique<Cursor>(files, slices[run], run, piece);
      if (cursor->next()) heap_.push_back(std::move(cursor));
    }
    std::ranges::make_heap(heap_, comes_later);
  }

  [[nodiscard]] bool has_more() const override { return !heap_.empty(); }
  [[nodiscard]] std::string_view key() const override { return heap_.front()->key; }
  V take(bool& more) override {
    Cursor& first = *heap_.front();
    V value = take_list_value<V>(first.list);
    more = true;
    if (first.list.empty()) more = step();
    return value;
  }

 private:
  struct Cursor {
    SliceReader reader;
    const std::size_t run;
    std::string key;
    std::uint64_t hash = 0;
    std::span<const std::byte> list;

    Cursor(RunFiles& files, const Slice& slice, std::size_t number, std::size_t piece)
        : reader(files, slice, piece), run(number) {}
    bool next() {
      SliceReader::Record record;
      if (!reader.next(record)) return false;
      key = record.key;
      hash = hash_of(key);
      list = record.value;
      return true;
    }
    [[nodiscard]] bool is_long() const { return key.size() > kLongestShortKey; }
  };
  static bool comes_later(const std::unique_ptr<Cursor>& a, const std::unique_ptr<Cursor>& b) {
    if (a->hash != b->hash) return a->hash > b->hash;
    if (a->key != b->key) return is_before(b->is_long(), b->key, a->is_long(), a->key);
    return a->run > b->run;
  }
  /// To the next list; true if it is of the same key.
  bool step() {
    Cursor& first = *heap_.front();
    std::swap(first.key, before_);
    if (!first.next()) {
      std::ranges::pop_heap(heap_, comes_later);
      heap_.pop_back();
    } else if (first.key != before_) {  // else it is the first still
      std::ranges::pop_heap(heap_, comes_later);
      std::ranges::push_heap(heap_, comes_later);
    }
    return !heap_.empty() && heap_.front()->key == before_;
  }

  std::vector<std::unique_ptr<Cursor>> heap_;
  std::string before_;
};

}  // namespace bulkhead::detail
