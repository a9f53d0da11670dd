// SPDX-License-Identifier: MIT
//
// Pace: how many tasks of a job may wait at one worker (its window), from how long they have taken
// so far. Plain arithmetic, no clock of its own; one thread at a time.
#pragma once

#include <chrono>
#include <cstdint>

namespace bulkhead::detail {

class Pace {
 public:
  /// A worker was busy for `time` and has answered `tasks` (at least one) of this job.
  void observe(std::chrono::nanoseconds time, std::uint64_t tasks);

  /// Tasks that may be at one worker at a time, the running one included; at least 1. `unsent`
  /// tasks of the job are still to be shared out among `workers`.
  [[nodiscard]] std::uint64_t window(std::uint64_t unsent, std::uint64_t workers) const;

  [[nodiscard]] bool is_known() const { return samples_ != 0; }
  /// Measured time of a task; zero before the first observation.
  [[nodiscard]] std::chrono::nanoseconds per_task() const {
    return std::chrono::nanoseconds(static_cast<std::int64_t>(nanoseconds_));
  }

 private:
  double nanoseconds_ = 0;
  int samples_ = 0;  ///< taken so far, but for those that do not matter any more
};

}  // namespace bulkhead::detail
