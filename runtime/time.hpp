// SPDX-License-Identifier: MIT
//
// Times in sums and in sentences.
#pragma once

#include <chrono>
#include <optional>
#include <string>

#include <spdlog/fmt/fmt.h>

namespace bulkhead::detail {

/// Nothing: no limit.
using TimeLimit = std::optional<std::chrono::nanoseconds>;

/// Saturates.
inline std::chrono::steady_clock::time_point later(std::chrono::steady_clock::time_point time,
                                                   std::chrono::nanoseconds by) {
  using Time = std::chrono::steady_clock::time_point;
  return by > Time::max() - time ? Time::max() : time + by;
}

inline std::string to_text(std::chrono::nanoseconds time) {
  const double seconds = std::chrono::duration<double>(time).count();
  const double size = seconds < 0 ? -seconds : seconds;
  if (size >= 1 || size == 0) return fmt::format("{:g} s", seconds);
  if (size >= 1e-3) return fmt::format("{:g} ms", seconds * 1e3);
  return size >= 1e-6 ? fmt::format("{:g} us", seconds * 1e6)
                      : fmt::format("{:g} ns", seconds * 1e9);
}

}  // namespace bulkhead::detail
