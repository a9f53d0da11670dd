// SPDX-License-Identifier: MIT
//
// InFlight: the tasks that wait or run at one worker, in the order in which they were sent, which
// is the order in which their answers come. Kept as runs of consecutive tasks of one job, so that a
// million tiny tasks cost a few entries.
#pragma once

#include "runtime/ledger.hpp"

#include <cstdint>
#include <deque>

namespace bulkhead::detail {

struct ActiveJob;

struct Run {
  ActiveJob* job = nullptr;
  TaskRange tasks;

  [[nodiscard]] bool holds(const ActiveJob* of, std::uint64_t task) const {
    return job == of && task - tasks.first < tasks.count;
  }
};

class InFlight {
 public:
  void push(ActiveJob* job, TaskRange tasks);
  /// The run whose first task is answered next. Not to be called if empty().
  [[nodiscard]] const Run& front() const { return runs_.front(); }
  /// Removes the `count` tasks that are answered next; all of the front run at the most.
  void pop(std::uint64_t count);
  /// Removes the last `count` tasks, and hands them to `taken(run)`, newest run first.
  template <class Taken>
  void take_back(std::uint64_t count, Taken taken) {
    while (count != 0) {
      TaskRange& last = runs_.back().tasks;
      const std::uint64_t step = count < last.count ? count : last.count;
      last.count -= step;
      const Run run{runs_.back().job, {last.first + last.count, step}};
      if (last.count == 0) runs_.pop_back();
      size_ -= step;
      count -= step;
      taken(run);
    }
  }

  /// The task that is answered after `before` others. Not to be called if there are no more.
  [[nodiscard]] Run at(std::uint64_t before) const;
  /// True if that task is among them.
  [[nodiscard]] bool holds(const ActiveJob* job, std::uint64_t task) const;
  /// True if a task behind the first `before` ones is of a job with a lower priority.
  [[nodiscard]] bool any_below(int priority, std::uint64_t before) const;
  /// Tasks of one job.
  [[nodiscard]] std::uint64_t count_of(const ActiveJob* job) const;
  [[nodiscard]] std::uint64_t size() const { return size_; }
  [[nodiscard]] bool empty() const { return size_ == 0; }

 private:
  std::deque<Run> runs_;
  std::uint64_t size_ = 0;
};

}  // namespace bulkhead::detail
