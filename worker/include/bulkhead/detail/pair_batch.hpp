// SPDX-License-Identifier: MIT
//
// PairBatch: pairs on their way to a table, in two halves: while one is being filled, the memory of
// the other one's slots is on its way.
#pragma once

#include <bulkhead/detail/run_row.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <utility>
#include <vector>

namespace bulkhead::detail {

template <class V, class Key>
class PairBatch {
 public:
  /// Pairs of a half. Large values should not wait.
  static constexpr std::size_t kHalf = kInSlot<V> ? 128 : 8;

  PairBatch() {
    if constexpr (!kInSlot<V>) values_.resize(2 * kHalf);
  }

  /// True: the half is full, and turn() is due.
  bool put(Key key, std::uint64_t hash, V& value) {
    const std::size_t at = end_++;  // what is written below might be `end_`, for all compilers know
    keys_[at] = key;
    hashes_[at] = hash;
    values_[at] = std::move(value);
    return end_ % kHalf == 0;
  }
  /// Asks for the memory of the half that is full, and calls `add(keys, hashes, values, count)`
  /// with the other one.
  template <class Table, class Add>
  void turn(const Table& table, Add add) {
    for (std::size_t i = end_ - kHalf; i != end_; ++i) table.prefetch(hashes_[i]);
    end_ %= 2 * kHalf;
    if (std::exchange(waits_, true)) add_from(end_, kHalf, add);
  }
  /// Calls it with all that there are.
  template <class Add>
  void take(Add add) {
    const std::size_t filled = std::exchange(end_, 0);  // also if something is thrown
    const std::size_t first = filled / kHalf * kHalf;
    if (std::exchange(waits_, false)) add_from(kHalf - first, kHalf, add);
    add_from(first, filled - first, add);
  }

 private:
  template <class Add>
  void add_from(std::size_t first, std::size_t count, Add& add) {
    add(&keys_[first], &hashes_[first], &values_[first], count);
  }

  std::array<Key, 2 * kHalf> keys_;
  std::array<std::uint64_t, 2 * kHalf> hashes_;
  // Large values might be more than a stack has room for.
  std::conditional_t<kInSlot<V>, std::array<V, 2 * kHalf>, std::vector<V>> values_{};
  std::size_t end_ = 0;
  bool waits_ = false;  ///< the half that is not being filled
};

}  // namespace bulkhead::detail
