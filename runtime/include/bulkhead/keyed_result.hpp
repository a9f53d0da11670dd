// SPDX-License-Identifier: MIT
//
// KeyedResult: what Pool::map_reduce_by_key returns. It lies in files of this process (in memory)
// for as long as it lives, and is read from there.
#pragma once

#include <bulkhead/codec.hpp>
#include <bulkhead/detail/key_bytes.hpp>
#include <bulkhead/detail/keyed_job.hpp>
#include <bulkhead/detail/keyed_sort.hpp>
#include <bulkhead/detail/part_files.hpp>
#include <bulkhead/detail/result_pieces.hpp>
#include <bulkhead/detail/slice_merge.hpp>
#include <bulkhead/failure.hpp>
#include <bulkhead/keyed_stats.hpp>
#include <bulkhead/sorted_pairs.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <iterator>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace bulkhead {

namespace detail {

/// "part-{:05}.tsv" and a number. Throws InvalidArgument if the pattern makes no sense.
[[nodiscard]] std::string part_name(const std::string& pattern, std::uint64_t number);
/// True if it has a place for a number.
[[nodiscard]] bool is_pattern(std::string_view path);

}  // namespace detail

/// Pairs of a key and a value, in an order that depends on the keys only: the same for any number
/// of workers. One thread at a time.
template <class K, class V>
class KeyedResult {
 public:
  using value_type = std::pair<K, V>;

  using Reader = detail::ResultReader<K, V>;

  KeyedResult(detail::KeyedRun run, detail::KeyedPlan plan, std::weak_ptr<detail::Engine> engine)
      : store_(std::move(run.store)),
        files_(std::make_unique<detail::RunFiles>(store_->ticket())),
        partitions_(std::move(run.report.partitions)),
        stats_(run.report.stats),
        counters_(std::move(run.report.counters)),
        skipped_(std::move(run.report.skipped)),
        plan_(std::move(plan)),
        engine_(std::move(engine)) {}

  class iterator {
   public:
    using iterator_concept = std::input_iterator_tag;
    using difference_type = std::ptrdiff_t;
    using value_type = std::pair<K, V>;

    iterator() = default;
    const value_type& operator*() const { return *pair_; }
    const value_type* operator->() const { return &*pair_; }
    iterator& operator++() {
      find();
      return *this;
    }
    void operator++(int) { find(); }
    bool operator==(std::default_sentinel_t) const { return !pair_; }

   private:
    friend class KeyedResult;
    explicit iterator(const KeyedResult& result) : result_(&result) { find(); }

    void find() {
      const auto keep = [this](std::string_view key, V value) {
        pair_.emplace(detail::key_of<K>(key), std::move(value));
      };
      pair_.reset();
      while (!merge_ || !merge_->next(keep)) {
        if (!next_slice()) return;
      }
    }
    bool next_slice() {
      const auto& partitions = result_->partitions_;
      while (partition_ != partitions.size() && slice_ == partitions[partition_].size()) {
        ++partition_;
        slice_ = 0;
      }
      if (partition_ == partitions.size()) {
        merge_.reset();
        return false;
      }
      merge_ = std::make_unique<detail::SliceMerge<V>>(*result_->files_,
                                                       partitions[partition_][slice_++]);
      return true;
    }

    const KeyedResult* result_ = nullptr;
    std::size_t partition_ = 0;
    std::size_t slice_ = 0;
    std::unique_ptr<detail::SliceMerge<V>> merge_;
    std::optional<value_type> pair_;
  };

  /// Begins from the front.
  [[nodiscard]] iterator begin() const { return iterator(*this); }
  [[nodiscard]] std::default_sentinel_t end() const { return {}; }
  [[nodiscard]] const KeyedStats& stats() const { return stats_; }
  /// What mappers have counted by `emit.count("name")`, or `emit.count("name", n)`, beside what
  /// they emitted. As with that, nothing is counted twice, whoever died.
  [[nodiscard]] const std::map<std::string, std::uint64_t>& counters() const { return counters_; }
  /// Why elements of the input were left out: the first thousand. See KeyedOptions::skip_failed.
  [[nodiscard]] const std::vector<Failure>& skipped() const { return skipped_; }
  /// For another keyed job, of which this is the input: a mapper gets one pair at a time.
  [[nodiscard]] std::unique_ptr<detail::PieceSource> pieces() const {
    return std::make_unique<detail::ResultPieces>(store_, partitions_);
  }

  /// The pairs in the order of their keys, which take as much room again as the result. They are
  /// sorted now, by the workers; in this thread if the pool is closed, or gone. Throws what
  /// Pool::map_reduce_by_key throws.
  [[nodiscard]] SortedPairs<K, V> sorted() const {
    static_assert(
        requires(const K& a) { a < a; }, "bulkhead: sorted() needs a < of keys");
    std::vector<detail::Slice> slices;
    for (const auto& partition : partitions_)
      slices.insert(slices.end(), partition.begin(), partition.end());
    const detail::KeyedCallable sort{&detail::KeyedSort<K, V>::describe, false, {}, "the sorting"};
    if (auto sorted = detail::sort_by_workers(engine_.lock(), sort, plan_, *store_, slices))
      return {std::move(*sorted)};
    detail::SortedSlices sorted{store_->another(), {}};
    sorted.slices = detail::sort_here<K, V>(*files_, slices, *sorted.store);
    return {std::move(sorted)};
  }

  /// As lines of text, `key \t value`: numbers in decimal, texts as they are, the parts of a
  /// std::pair or std::tuple with tabs between them, other types by <<. A path with a place for a
  /// number, such as "part-{:05}.tsv", has each partition in a file of its own, from 0 on; another
  /// has all in one. Folders are made. Files come to be, and take the place of others, when they
  /// are complete. Throws SystemError; InvalidArgument if the pattern makes no sense.
  void write(const std::string& path) const {
    if (detail::is_pattern(path)) {
      for (std::size_t i = 0; i < partitions_.size(); ++i)
        write(std::span(partitions_).subspan(i, 1), detail::part_name(path, i));
    } else {
      write(partitions_, path);
    }
  }

  /// The `number` pairs with the largest values, by `less`, the largest first; of equal values
  /// those with the smaller keys. Holds no more than so many.
  template <class Less = std::less<>>
  [[nodiscard]] std::vector<value_type> top(std::size_t number, Less less = {}) const {
    static_assert(std::is_invocable_r_v<bool, Less&, const V&, const V&>,
                  "bulkhead: top() needs a < of values, or a function that compares two of them");
    static_assert(
        requires(const K& a) { a < a; }, "bulkhead: top() needs a < of keys, too");
    const auto before = [&less](const value_type& a, const value_type& b) {
      if (less(b.second, a.second)) return true;
      return !less(a.second, b.second) && a.first < b.first;
    };
    std::vector<value_type> best;
    for (const value_type& pair : *this) {
      if (best.size() == number) {
        if (best.empty() || !before(pair, best.front())) continue;
        std::ranges::pop_heap(best, before);
        best.pop_back();
      }
      best.push_back(pair);
      std::ranges::push_heap(best, before);
    }
    std::ranges::sort_heap(best, before);
    return best;
  }

 private:
  void write(std::span<const std::vector<detail::Slice>> partitions,
             const std::string& path) const {
    detail::PartFile file(path);
    for (const auto& partition : partitions) {
      for (const detail::Slice& slice : partition) write(slice, file);
    }
    file.finish();
  }
  void write(const detail::Slice& slice, detail::PartFile& file) const {
    detail::SliceMerge<V> merge(*files_, slice);
    while (merge.next([&](std::string_view key, V value) {
      detail::append_line(detail::key_of<K>(key), value, file.text());
    })) {
      file.write_if_much();
    }
  }

  std::shared_ptr<detail::RunStore> store_;
  std::unique_ptr<detail::RunFiles> files_;
  std::vector<std::vector<detail::Slice>> partitions_;
  KeyedStats stats_;
  std::map<std::string, std::uint64_t> counters_;
  std::vector<Failure> skipped_;
  detail::KeyedPlan plan_;
  std::weak_ptr<detail::Engine> engine_;
};

}  // namespace bulkhead
