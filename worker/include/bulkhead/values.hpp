// SPDX-License-Identifier: MIT
//
// Values: what a function for group() gets beside a key.
#pragma once

#include <bulkhead/detail/pair_row.hpp>
#include <bulkhead/error.hpp>

#include <cstddef>
#include <iterator>
#include <optional>
#include <utility>
#include <vector>

namespace bulkhead {

/// All values of a key, in the order of the input, read from where they lie while they are looked
/// at: any number takes no more memory than one. To be gone through once (to_vector() keeps them);
/// what is left when the function returns is skipped. Throws Error if it is gone through again.
template <class V>
class Values {
 public:
  /// Those of the pair that comes next.
  explicit Values(detail::PairRow<V>& pairs) : pairs_(pairs) {}
  Values(const Values&) = delete;
  Values& operator=(const Values&) = delete;

  class iterator {
   public:
    using iterator_concept = std::input_iterator_tag;
    using difference_type = std::ptrdiff_t;
    using value_type = V;

    iterator() = default;
    const V& operator*() const { return *values_->present_; }
    const V* operator->() const { return &*values_->present_; }
    iterator& operator++() {
      values_->advance();
      return *this;
    }
    void operator++(int) { values_->advance(); }
    bool operator==(std::default_sentinel_t) const { return !values_->present_; }

   private:
    friend class Values;
    explicit iterator(Values& values) : values_(&values) {}
    Values* values_ = nullptr;
  };

  iterator begin() {
    require_some();
    if (!begun_) advance();
    begun_ = true;
    return iterator(*this);
  }
  [[nodiscard]] std::default_sentinel_t end() const { return {}; }
  /// Those that have not been looked at.
  [[nodiscard]] std::vector<V> to_vector() {
    require_some();
    std::vector<V> all;
    if (begun_) advance();
    for (const V& value : *this) all.push_back(value);
    return all;
  }
  void skip_rest() {
    while (more_) advance();
  }

 private:
  /// There are some at first, so that a loop over none is a second one.
  void require_some() const {
    if (begun_ && !present_)
      throw Error(
          "bulkhead: the values of a key can be gone through once: keep what to_vector() "
          "returns to go through them again");
  }
  void advance() {
    present_.reset();
    if (more_) present_.emplace(pairs_.take(more_));
  }

  detail::PairRow<V>& pairs_;
  std::optional<V> present_;
  bool more_ = true;
  bool begun_ = false;
};

}  // namespace bulkhead
