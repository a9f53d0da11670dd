// SPDX-License-Identifier: MIT
//
// WorkMeter: how long a worker's tasks take, for who looks at the pool from outside. The worker adds
// up in words of its own outbox; nobody waits for them, and nothing depends on them.
//
// A look at the clock costs as much as several of the shortest tasks. So there are two ways:
//
//   exact   a look before the answer of each task: the first one of a kind, and where they take long
//   spans   short tasks are timed together, as many as take so long that a look costs next to
//           nothing; they count as equally long. One that takes long after all is told from those
//           before it. How much was coding is known of a task that is looked at now and then.
//
//   a span:  work, wait, work, wait, work ─▶ finish;  a wait that is a sleep finishes it, too
//
// When a short wait ends, and tasks are short, the clock is not looked at either: the look before is
// good enough, and where it is not, tasks are taken to be as long as others were.
#pragma once

#include "worker/memory.hpp"
#include <bulkhead/detail/callable.hpp>

#include <array>
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

  explicit WorkMeter(WorkWords& words) : words_(words) {}
  WorkMeter(const WorkMeter&) = delete;
  WorkMeter& operator=(const WorkMeter&) = delete;

  /// The initializer is done.
  void start();
  /// The worker has `begun` and ended so many tasks, and does something else now. What time it is.
  Clock::time_point pause(std::uint64_t begun);
  /// Between pause() and resume(): there is time to bring the words up to date.
  void finish_span();
  /// It may begin the next.
  void resume();
  /// The same without a look at the clock: that was at `time`, and a moment ago. Not if it is
  /// exact.
  void resume_about(Clock::time_point time);
  /// The same after what belongs to serialising.
  void resume_after_coding();
  /// After `begun` of them, tasks of another kind follow.
  void begin_kind(std::uint64_t begun);
  /// After finish_span(): tasks up to that number were taken back.
  void skip_to(std::uint64_t begun) { counted_ = seen_ = begun; }

  /// True if the next task is to be looked at closely: begin_task(), enter(), end_task().
  [[nodiscard]] bool is_exact() const { return exact_; }
  void begin_task() { phase_ = TaskPhase::decoding; }
  void enter(TaskPhase phase);
  void end_task(std::uint64_t number);
  /// So many have begun and ended.
  void end_frame(std::uint64_t begun) {
    if (begun - counted_ >= every_) [[unlikely]]
      end_span(begun);
  }

 private:
  void end_span(std::uint64_t begun);
  void add_stretch(std::uint64_t begun, std::int64_t now);
  void add_phase(std::int64_t now);
  void finish(std::uint64_t tasks);
  void note_slow(std::uint64_t number, std::int64_t time);
  void set_exact(bool exact);

  WorkWords& words_;
  bool exact_ = false;
  std::uint64_t counted_ = 0;  ///< tasks up to that number have been accounted for
  std::uint64_t seen_ = 0;     ///< and up to that one, their time is in `work_` and `coding_`
  std::uint64_t every_ = 1;    ///< tasks in a span
  std::uint32_t spans_ = 0;
  TaskPhase phase_ = TaskPhase::running;
  std::int64_t mark_ = 0;        ///< up to then time has been added up
  bool about_ = false;           ///< it is only known about
  std::int64_t work_ = 0;        ///< of the span
  std::int64_t coding_ = 0;      ///< of the span
  std::int64_t typical_ = 0;     ///< mean of the last one
  double coding_share_ = 0;      ///< of the last task that was looked at closely
  std::int64_t fifth_slow_ = 0;  ///< the least of WorkWords::slowest
};

}  // namespace bulkhead::detail
