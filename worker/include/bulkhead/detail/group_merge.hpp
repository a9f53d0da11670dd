// SPDX-License-Identifier: MIT
//
// GroupMerge: slices in the order of hashes as one row of pairs; those of a key are in the order of
// the slices. Holds a piece of each slice in memory, however large they are.
#pragma once

#include <bulkhead/detail/pair_row.hpp>
#include <bulkhead/detail/slice_merge.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
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
      if (slices[run].bytes == 0) continue;
      auto cursor = std::make_unique<Cursor>(files, slices[run], run, piece);
      if (cursor->next()) heap_.push_back(std::move(cursor));
    }
    std::ranges::make_heap(heap_, comes_later);
  }

  [[nodiscard]] bool has_more() const override { return !heap_.empty(); }
  [[nodiscard]] std::string_view key() const override { return heap_.front()->key; }
  V take(bool& more) override {
    Cursor& first = *heap_.front();
    V value = std::move(*first.value);
    std::swap(first.key, before_);
    if (!first.next()) {
      std::ranges::pop_heap(heap_, comes_later);
      heap_.pop_back();
    } else if (first.key != before_) {  // else it is the first still
      std::ranges::pop_heap(heap_, comes_later);
      std::ranges::push_heap(heap_, comes_later);
    }
    more = !heap_.empty() && heap_.front()->key == before_;
    return value;
  }

 private:
  struct Cursor {
    SliceMerge<V> pairs;
    const std::size_t run;
    std::string key;
    std::uint64_t hash = 0;
    std::optional<V> value;

    Cursor(RunFiles& files, const Slice& slice, std::size_t number, std::size_t piece)
        : pairs(files, slice, piece), run(number) {}
    bool next() {
      return pairs.next([this](std::string_view bytes, V one) {
        key = bytes;
        hash = hash_of(bytes);
        value.emplace(std::move(one));
      });
    }
    [[nodiscard]] bool is_long() const { return key.size() > kLongestShortKey; }
  };
  static bool comes_later(const std::unique_ptr<Cursor>& a, const std::unique_ptr<Cursor>& b) {
    if (a->hash != b->hash) return a->hash > b->hash;
    if (a->key != b->key) return is_before(b->is_long(), b->key, a->is_long(), a->key);
    return a->run > b->run;
  }

  std::vector<std::unique_ptr<Cursor>> heap_;
  std::string before_;
};

}  // namespace bulkhead::detail
