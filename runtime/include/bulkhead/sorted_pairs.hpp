// SPDX-License-Identifier: MIT
//
// SortedPairs: what KeyedResult::sorted() returns. The slices of the result are sorted one by one,
// and lie beside it; they are merged while they are read.
#pragma once

#include <bulkhead/detail/key_bytes.hpp>
#include <bulkhead/detail/key_order.hpp>
#include <bulkhead/detail/keyed_job.hpp>
#include <bulkhead/detail/part_files.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace bulkhead {

namespace detail {

/// Throws InvalidArgument if the path has a place for a number: it is that of one file.
void refuse_pattern(const std::string& path);

}  // namespace detail

/// Pairs in the order of their keys, by <. One thread at a time. Outlives the result.
template <class K, class V>
class SortedPairs {
 public:
  using value_type = std::pair<K, V>;

  SortedPairs(detail::SortedSlices sorted)
      : store_(std::move(sorted.store)),
        files_(std::make_unique<detail::RunFiles>(store_->ticket())),
        slices_(std::move(sorted.slices)) {}

  class iterator {
   public:
    using iterator_concept = std::input_iterator_tag;
    using difference_type = std::ptrdiff_t;
    using value_type = std::pair<K, V>;

    iterator() = default;
    const value_type& operator*() const { return *heap_.front()->pair; }
    const value_type* operator->() const { return &*heap_.front()->pair; }
    iterator& operator++() {
      find();
      return *this;
    }
    void operator++(int) { find(); }
    bool operator==(std::default_sentinel_t) const { return heap_.empty(); }

   private:
    friend class SortedPairs;
    explicit iterator(SortedPairs& pairs) {
      const std::size_t piece = detail::SliceReader::piece_of(pairs.slices_.size());
      for (const detail::Slice& slice : pairs.slices_) {
        auto part = std::make_unique<Part>(*pairs.files_, slice, piece);
        if (part->next()) heap_.push_back(std::move(part));
      }
      std::ranges::make_heap(heap_, comes_later);
    }

    struct Part {
      detail::SliceReader reader;
      std::optional<value_type> pair;
      std::uint64_t order = 0;  ///< of the pair's key

      Part(detail::RunFiles& files, const detail::Slice& slice, std::size_t piece)
          : reader(files, slice, piece) {}
      bool next() {
        detail::SliceReader::Record record;
        if (!reader.next(record)) return false;
        SpanReader in(record.value);
        pair.emplace(detail::key_of<K>(record.key), Codec<V>::decode(in));
        order = detail::order_of(pair->first);
        return true;
      }
    };
    static bool comes_later(const std::unique_ptr<Part>& a, const std::unique_ptr<Part>& b) {
      return a->order != b->order ? b->order < a->order : b->pair->first < a->pair->first;
    }
    void find() {
      if (!heap_.front()->next()) {
        std::swap(heap_.front(), heap_.back());
        heap_.pop_back();
      }
      settle();
    }
    /// The part in front has another pair: to where it belongs in the heap.
    void settle() {
      for (std::size_t at = 0, next = 1; next < heap_.size(); next = 2 * at + 1) {
        if (next + 1 < heap_.size() && comes_later(heap_[next], heap_[next + 1])) ++next;
        if (!comes_later(heap_[at], heap_[next])) return;
        std::swap(heap_[at], heap_[next]);
        at = next;
      }
    }

    std::vector<std::unique_ptr<Part>> heap_;
  };

  /// Begins from the front.
  iterator begin() { return iterator(*this); }
  [[nodiscard]] std::default_sentinel_t end() const { return {}; }

  /// As lines of one file: see KeyedResult::write. Throws SystemError; InvalidArgument if the path
  /// has a place for a number.
  void write(const std::string& path) {
    detail::refuse_pattern(path);
    detail::PartFile file(path);
    for (const auto& [key, value] : *this) {
      detail::append_line(key, value, file.text());
      file.write_if_much();
    }
    file.finish();
  }

 private:
  std::shared_ptr<detail::RunStore> store_;
  std::unique_ptr<detail::RunFiles> files_;
  std::vector<detail::Slice> slices_;  ///< each sorted
};

}  // namespace bulkhead
