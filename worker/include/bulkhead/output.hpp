// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

namespace bulkhead {

/// What becomes of that which tasks write to standard output and standard error, by whatever means.
/// With Options::inline_execution it is the host's own output, whatever is asked for.
enum class Output : std::uint8_t {
  /// It goes where the host's goes, as it is written; lines of several workers may mix.
  inherit,
  /// Whole lines, never mixed, each with its origin: "[worker 1, task 17] text". They are written
  /// to the host's streams while a call of the pool is served, those of a task before its call
  /// returns. A line of more than 64 KiB comes in pieces, each with its origin.
  lines,
  /// The last 64 KiB of each stream go into the task's outcome: Outcome::output(),
  /// Failure::output(). What is written between tasks goes nowhere.
  capture,
  /// It goes nowhere.
  discard,
};

}  // namespace bulkhead
