// SPDX-License-Identifier: MIT
//
// SortedPairs: what KeyedResult::sorted() returns. The parts of the result are sorted one by one,
// and lie beside it; they are merged while they are read.
#pragma once

#include <bulkhead/detail/key_bytes.hpp>
#include <bulkhead/detail/keyed_job.hpp>
#include <bulkhead/detail/part_files.hpp>
#include <bulkhead/detail/run_packer.hpp>
#include <bulkhead/detail/slice_merge.hpp>

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace bulkhead {

/// Pairs in the order of their keys, by <. One thread at a time. Outlives the result.
template <class K, class V>
class SortedPairs {
 public:
  using value_type = std::pair<K, V>;

  SortedPairs(const detail::RunStore& result,
              const std::vector<std::vector<detail::Slice>>& partitions)
      : store_(result.another()), files_(std::make_unique<detail::RunFiles>(store_->ticket())) {
    detail::RunFiles unsorted(result.ticket());
    for (const auto& partition : partitions) {
      for (const detail::Slice& slice : partition) sort(unsorted, slice);
    }
  }

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

      Part(detail::RunFiles& files, const detail::Slice& slice, std::size_t piece)
          : reader(files, slice, piece) {}
      bool next() {
        detail::SliceReader::Record record;
        if (!reader.next(record)) return false;
        SpanReader in(record.value);
        pair.emplace(detail::key_of<K>(record.key), Codec<V>::decode(in));
        return true;
      }
    };
    static bool comes_later(const std::unique_ptr<Part>& a, const std::unique_ptr<Part>& b) {
      return b->pair->first < a->pair->first;
    }
    void find() {
      std::ranges::pop_heap(heap_, comes_later);
      if (heap_.back()->next()) {
        std::ranges::push_heap(heap_, comes_later);
      } else {
        heap_.pop_back();
      }
    }

    std::vector<std::unique_ptr<Part>> heap_;
  };

  /// Begins from the front.
  iterator begin() { return iterator(*this); }
  [[nodiscard]] std::default_sentinel_t end() const { return {}; }

  /// As lines of a file: see KeyedResult::write. Throws SystemError.
  void write(const std::string& path) {
    detail::PartFile file(path);
    for (const auto& [key, value] : *this) {
      detail::append_line(key, value, file.text());
      file.write_if_much();
    }
    file.finish();
  }

 private:
  void sort(detail::RunFiles& unsorted, const detail::Slice& slice) {
    std::vector<value_type> pairs;
    detail::SliceMerge<V> merge(unsorted, slice);
    while (merge.next([&](std::string_view key, V value) {
      pairs.emplace_back(detail::key_of<K>(key), std::move(value));
    })) {
    }
    std::ranges::sort(pairs, {}, &value_type::first);
    files_->renew(store_->ticket_to_write());
    detail::RunPacker packer(*files_);
    for (const value_type& pair : pairs) {
      detail::with_bytes<K>(pair.first,
                            [&](std::string_view bytes) { packer.add_record(bytes, pair.second); });
    }
    packer.end_slice();
    for (const detail::Slice& part : packer.take()) slices_.push_back(part);
  }

  std::shared_ptr<detail::RunStore> store_;
  std::unique_ptr<detail::RunFiles> files_;
  std::vector<detail::Slice> slices_;  ///< each sorted
};

}  // namespace bulkhead
