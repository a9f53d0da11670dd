// SPDX-License-Identifier: MIT
//
// What a pool knows of its workers' times: from their own words, which are held against what can be
// true, and from when they came and went. Plain arithmetic, time is given.
#pragma once

#include "runtime/tally.hpp"
#include "worker/memory.hpp"
#include <bulkhead/stats.hpp>

#include <chrono>
#include <cstdint>
#include <vector>

namespace bulkhead::detail {

using StatsTime = std::chrono::steady_clock::time_point;

/// One or several workers' times, and what went to them and came from them.
struct WorkFigures {
  Stats::Times times;
  Stats::Histogram tasks;
  std::uint64_t bytes_sent = 0;
  std::uint64_t bytes_received = 0;

  WorkFigures& operator+=(const WorkFigures& other);
};

/// What can be true of a worker.
struct WorkBounds {
  StatsTime born;
  StatsTime ready;          ///< or now, if it is not ready yet
  StatsTime now;            ///< or when it ended
  std::uint64_t tasks = 0;  ///< that it can have ended
};
/// What the worker says, as far as it can be true.
[[nodiscard]] WorkFigures believed(const WorkWords& words, const WorkBounds& bounds);
/// A task that the worker did not end, or has not yet: its time was no waiting.
void add_unfinished(WorkFigures& figures, Stats::Seconds time);
void add_task(Stats::Histogram& tasks, Stats::Seconds time);

/// The slowest attempts, of those that were added.
class SlowTasks {
 public:
  void add(const CallName& call, std::uint64_t index, Stats::Seconds time, std::uint32_t worker);
  void add(const SlowTasks& others);
  /// The slowest first.
  [[nodiscard]] const std::vector<Stats::SlowTask>& all() const { return tasks_; }

 private:
  void add(Stats::SlowTask task);

  std::vector<Stats::SlowTask> tasks_;
};

/// Figures that have been shown never get smaller: what a worker says may.
class ShownFigures {
 public:
  const WorkFigures& raise(const WorkFigures& figures);

 private:
  WorkFigures shown_;
};

}  // namespace bulkhead::detail
