// SPDX-License-Identifier: MIT
//
// What a task has written, where a pool captures that: see Options::output.
#pragma once

#include <cstddef>
#include <string>

namespace bulkhead {

/// The last kCaptured bytes of each stream.
struct TaskOutput {
  static constexpr std::size_t kCaptured = std::size_t{64} << 10;

  std::string out;  ///< standard output
  std::string err;  ///< standard error
};

namespace detail {
/// `output`, or an empty one.
[[nodiscard]] inline const TaskOutput& or_nothing(const TaskOutput* output) {
  static const TaskOutput nothing;
  return output != nullptr ? *output : nothing;
}
}  // namespace detail

}  // namespace bulkhead
