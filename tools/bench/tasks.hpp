// SPDX-License-Identifier: MIT
// The functions that the workloads call, in a worker or wherever a peer runs them.

#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

namespace bench {

using Bytes = std::vector<std::byte>;

inline std::int64_t increment(std::int64_t x) {
  return x + 1;
}

inline Bytes increment_all(Bytes bytes) {
  for (std::byte& byte : bytes) byte = static_cast<std::byte>(std::to_integer<int>(byte) + 1);
  return bytes;
}

inline Bytes increment_first(Bytes bytes) {
  bytes.front() = static_cast<std::byte>(std::to_integer<int>(bytes.front()) + 1);
  return bytes;
}

/// Spins until `nanoseconds` have passed, whoever had the CPU meanwhile, and adds 1: a task whose
/// duration is the same on a busy machine, so that only the order of the tasks counts.
inline std::int64_t busy(std::int64_t nanoseconds) {
  if (nanoseconds > 0) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::nanoseconds(nanoseconds);
    while (std::chrono::steady_clock::now() < end) {
    }
  }
  return nanoseconds + 1;
}

/// `steps` steps of a chain that neither compiler nor CPU can shorten: so much work, however long
/// it takes.
inline std::uint64_t work(std::uint64_t steps, std::uint64_t x) {
  for (; steps > 0; --steps) {
    x = x * 6364136223846793005u + 1442695040888963407u;
    asm volatile("" : "+r"(x));
  }
  return x;
}

/// The steps of work() that take so long on this machine when nothing disturbs it; at least 1.
inline std::uint64_t steps_for(std::chrono::nanoseconds duration) {
  constexpr std::uint64_t kSteps = 2'000'000;
  constexpr int kTries = 9;
  double best = std::numeric_limits<double>::max();
  std::uint64_t x = 1;
  for (int i = 0; i < kTries; ++i) {
    const auto start = std::chrono::steady_clock::now();
    x = work(kSteps, x);
    const std::chrono::duration<double, std::nano> taken = std::chrono::steady_clock::now() - start;
    best = std::min(best, taken.count());
  }
  const double steps = static_cast<double>(duration.count()) * static_cast<double>(kSteps) / best;
  return std::max<std::uint64_t>(static_cast<std::uint64_t>(steps), 1);
}

}  // namespace bench
