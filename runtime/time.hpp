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
  return seconds < 1 ? fmt::format("{:g} ms", seconds * 1e3) : fmt::format("{:g} s", seconds);
}

}  // namespace bulkhead::detail
