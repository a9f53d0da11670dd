// SPDX-License-Identifier: MIT
//
// WorkMeter: how long a worker's tasks take, for who looks at the pool from outside. The worker adds
// up in words of its own outbox; nobody waits for them, and nothing depends on them.
//
// A look at the clock costs as much as several of the shortest tasks. So there are two ways:
//
//   exact   a look before the answer of each task: the first ones, and where they take long
//   spans   a look after so many tasks that it costs next to nothing, and before each wait: they
//           count as equally long; how much of it was coding is known of some that were looked at
#pragma once

#include "worker/memory.hpp"
#include <bulkhead/detail/callable.hpp>

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>

namespace bulkhead::detail {

/// Upper bounds of the buckets of WorkWords::counts, in nanoseconds, inclusive; the last has none.
inline constexpr auto kTimeBounds = [] {
  std::array<std::int64_t, kTimeBuckets - 1> bounds{};
  std::int64_t decade = 1000;
  for (std::size_t i = 0; i < bounds.size(); i += 3, decade *= 10) {
    bounds[i] = decade;
    bounds[i + 1] = 2 * decade;
    bounds[i + 2] = 5 * decade;
  }
  return bounds;
}();
[[nodiscard]] std::size_t time_bucket(std::int64_t nanoseconds);

/// Tasks are told apart by the worker's count of those begun, from 1. One thread.
class WorkMeter {
 public:
  using Clock = std::chrono::steady_clock;

  WorkMeter(WorkWords& words, std::atomic<std::uint32_t>& slow_changes)
      : words_(words), slow_changes_(slow_changes) {}
  WorkMeter(const WorkMeter&) = delete;
  WorkMeter& operator=(const WorkMeter&) = delete;

  /// The initializer is done.
  void start();
  /// The worker has `begun` and ended so many tasks, and does something else now. What time it is.
  Clock::time_point pause(std::uint64_t begun);
  /// It may begin the next.
  void resume();
  /// The same after what belongs to serialising.
  void resume_after_coding();
  /// After `begun` of them, tasks of another kind follow.
  void begin_kind(std::uint64_t begun);
  /// Tasks up to that number were taken back.
  void skip_to(std::uint64_t begun) { counted_ = begun; }

  /// True if the next task is to be looked at closely: begin_task(), enter(), end_task().
  [[nodiscard]] bool is_exact() const { return exact_; }
  void begin_task() { phase_ = TaskPhase::decoding; }
  void enter(TaskPhase phase);
  void end_task(std::uint64_t number);
  /// So many have begun and ended.
  void end_frame(std::uint64_t begun) {
    if (begun - counted_ >= every_) [[unlikely]]
      look(begun, Clock::now());
  }

 private:
  void look(std::uint64_t begun, Clock::time_point time);
  void add_up(std::int64_t now);
  void note_slow(std::uint64_t number, std::int64_t time);
  void set_exact(bool exact);

  WorkWords& words_;
  std::atomic<std::uint32_t>& slow_changes_;
  bool exact_ = false;
  std::uint64_t counted_ = 0;  ///< tasks up to that number have been accounted for
  std::uint64_t every_ = 1;    ///< tasks in a span
  std::uint32_t spans_ = 0;
  TaskPhase phase_ = TaskPhase::running;
  std::int64_t mark_ = 0;       ///< up to then time has been added up
  std::int64_t work_ = 0;       ///< since the last look
  std::int64_t coding_ = 0;     ///< since the last look
  double coding_share_ = 0;     ///< of the last task that was looked at closely
  std::int64_t fifth_slow_ = 0;  ///< the least of WorkWords::slowest
};

}  // namespace bulkhead::detail
