// SPDX-License-Identifier: MIT
//
// BlockSize: how many elements of a reduction one task is to have, from what the blocks so far have
// taken. It decides how much work crosses between processes at a time, and nothing of the result.
// Plain arithmetic, no clock of its own; one thread at a time.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

namespace bulkhead::detail {

class BlockSize {
 public:
  /// A block of so many elements (at least one) took a worker that long.
  void observe_time(std::chrono::nanoseconds time, std::uint64_t elements);
  /// One was so large as encoded.
  void observe_bytes(std::uint64_t bytes, std::uint64_t elements);

  /// A power of two. `left` elements are still to be shared out among `workers`; nothing: it is not
  /// known how many there are.
  [[nodiscard]] std::uint64_t next(std::optional<std::uint64_t> left, int workers) const;

 private:
  double nanoseconds_ = 0;  ///< of an element; 0: not known yet
  double bytes_ = 0;
};

}  // namespace bulkhead::detail
