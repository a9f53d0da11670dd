// SPDX-License-Identifier: MIT
//
// GroupMerge: slices of one partition, of all runs, as one row of pairs: key by key, and those of a
// key in the order of the runs. Holds a piece of each slice in memory, however large they are.
#pragma once

#include <bulkhead/detail/group_buffer.hpp>
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
class GroupMerge {
 public:
  GroupMerge(RunFiles& files, const std::vector<Slice>& slices, std::size_t piece) {
    for (std::size_t run = 0; run < slices.size(); ++run) {
      if (slices[run].bytes == 0) continue;
      auto cursor = std::make_unique<Cursor>(files, slices[run], run, piece);
      if (cursor->next()) heap_.push_back(std::move(cursor));
    }
    std::ranges::make_heap(heap_, comes_later);
  }

  /// False: that was the last pair.
  [[nodiscard]] bool has_more() const { return !heap_.empty(); }
  /// Of the next pair.
  [[nodiscard]] std::string_view key() const { return heap_.front()->key; }
  /// The next pair's value; steps over it. `more`: there is another of its key behind it.
  V take(bool& more) {
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
