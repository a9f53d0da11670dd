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
  /// True if they take more than they may. To be asked often: it looks now and then.
  bool is_over() {
    if (++asked_ % kBetween != 0) return false;
    const std::size_t now = heap_in_use();
    return now > begin_ && now - begin_ > most_;
  }

 private:
  static constexpr std::uint32_t kBetween = 64;

  const std::size_t most_;
  std::size_t begin_;
  std::uint32_t asked_ = 0;
};

/// Of values that are elsewhere.
struct NoHeapMeter {
  explicit NoHeapMeter(std::size_t) {}
  void reset() {}
  static bool is_over() { return false; }
};

}  // namespace bulkhead::detail
