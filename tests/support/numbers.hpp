// SPDX-License-Identifier: MIT
//
// Ranges of integers for tests. Not std::views::iota, which clang before 16 cannot compile with the
// C++ library of GCC; what tests that library's views themselves asks BULKHEAD_TEST_VIEWS.
#pragma once

#include <atomic>
#include <cstddef>
#include <iterator>
#include <numeric>
#include <vector>

#if !defined(__clang__) || __clang_major__ >= 16
#define BULKHEAD_TEST_VIEWS 1
#else
#define BULKHEAD_TEST_VIEWS 0
#endif

namespace bulkhead::test {

/// first, first + 1, ... below `last`.
template <class T>
std::vector<T> numbers(T first, T last) {
  std::vector<T> range(static_cast<std::size_t>(last - first));
  std::iota(range.begin(), range.end(), first);
  return range;
}

/// 0, 0, 0, ... until it is told to end.
struct ZerosUntil {
  struct iterator {
    using difference_type = std::ptrdiff_t;
    using value_type = int;
    int operator*() const { return 0; }
    iterator& operator++() { return *this; }
    void operator++(int) {}
    bool operator==(std::default_sentinel_t) const { return *told; }
    const std::atomic<bool>* told;
  };
  [[nodiscard]] iterator begin() const { return {&told}; }
  [[nodiscard]] std::default_sentinel_t end() const { return {}; }
  const std::atomic<bool>& told;
};

}  // namespace bulkhead::test
