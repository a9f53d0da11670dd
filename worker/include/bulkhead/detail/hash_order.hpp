// SPDX-License-Identifier: MIT
//
// Puts many numbered things into the order of their hashes, by counting: the radix sort of
// H. Seward (1954).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

namespace bulkhead::detail {

/// A part of a hash in the upper half, a number in the lower one.
constexpr std::uint64_t numbered(std::uint32_t hash, std::uint32_t number) {
  return std::uint64_t{hash} << 32 | number;
}
constexpr std::uint32_t number_of(std::uint64_t numbered) {
  return static_cast<std::uint32_t>(numbered);
}

/// Sorts them by their upper halves; of equal ones, what was in front stays there. `scratch` has
/// room for as many. Returns whichever of the two holds them then.
inline std::span<std::uint64_t> sort_by_hash(std::span<std::uint64_t> items,
                                             std::span<std::uint64_t> scratch) {
  constexpr int kBits = 11;
  constexpr std::size_t kDigits = std::size_t{1} << kBits;
  for (int shift = 32; shift < 64; shift += kBits) {
    std::array<std::uint32_t, kDigits> places{};
    for (const std::uint64_t item : items) ++places[item >> shift & (kDigits - 1)];
    std::uint32_t place = 0;
    for (std::uint32_t& next : places) place += std::exchange(next, place);
    for (const std::uint64_t item : items) scratch[places[item >> shift & (kDigits - 1)]++] = item;
    std::swap(items, scratch);
  }
  return items;
}

}  // namespace bulkhead::detail
