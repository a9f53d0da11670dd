// SPDX-License-Identifier: MIT
//
// What holds for all tasks of a call, and what each makes of it.
#pragma once

#include <chrono>
#include <cstdint>

namespace bulkhead::detail {

struct TaskTerms {
  std::chrono::nanoseconds limit{0};  ///< zero: none
  std::uint64_t seed = 0;
  bool numbered = true;  ///< tasks are elements of a range
};

/// One of 2^64 streams of random numbers: the n-th output of SplitMix64 (Steele, Lea and Flood,
/// "Fast splittable pseudorandom number generators", 2014) that begins with `seed`.
constexpr std::uint64_t seed_of(std::uint64_t seed, std::uint64_t n) {
  std::uint64_t z = seed + (n + 1) * 0x9e3779b97f4a7c15U;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
  return z ^ (z >> 31);
}

}  // namespace bulkhead::detail
