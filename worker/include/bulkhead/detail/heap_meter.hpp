// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>

namespace bulkhead::detail {

/// Bytes that this process has allocated and not freed.
[[nodiscard]] std::size_t heap_in_use();

/// What some values take of the heap, with all else that is allocated meanwhile. One thread at a
/// time.
class HeapMeter {
 public:
  explicit HeapMeter(std::size_t most) : most_(most), begin_(heap_in_use()) {}

  /// There are no values.
  void reset() { begin_ = heap_in_use(); }
  /// True if they take more than they may. To be asked whenever some have been added, as many as
  /// that: it looks now and then.
  bool is_over(std::size_t added) {
    asked_ += added;
    if (asked_ < kBetween) return false;
    asked_ = 0;
    const std::size_t now = heap_in_use();
    return now > begin_ && now - begin_ > most_;
  }

 private:
  static constexpr std::size_t kBetween = 32;

  const std::size_t most_;
  std::size_t begin_;
  std::size_t asked_ = 0;
};

/// Of values that are elsewhere.
struct NoHeapMeter {
  explicit NoHeapMeter(std::size_t) {}
  void reset() {}
  static bool is_over(std::size_t) { return false; }
};

}  // namespace bulkhead::detail
