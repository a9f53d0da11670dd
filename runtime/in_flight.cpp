// SPDX-License-Identifier: MIT
#include "runtime/in_flight.hpp"

#include "runtime/active_job.hpp"

#include <algorithm>

namespace bulkhead::detail {

void InFlight::push(ActiveJob* job, TaskRange tasks) {
  if (tasks.count == 0) return;
  size_ += tasks.count;
  if (!runs_.empty()) {
    Run& last = runs_.back();
    if (last.job == job && last.tasks.first + last.tasks.count == tasks.first) {
      last.tasks.count += tasks.count;
      return;
    }
  }
  runs_.push_back({job, tasks});
}

void InFlight::pop(std::uint64_t count) {
  TaskRange& front = runs_.front().tasks;
  front.first += count;
  front.count -= count;
  size_ -= count;
  if (front.count == 0) runs_.pop_front();
}

Run InFlight::at(std::uint64_t before) const {
  auto run = runs_.begin();
  for (; before >= run->tasks.count; ++run) before -= run->tasks.count;
  return {run->job, {run->tasks.first + before, 1}};
}

bool InFlight::holds(const ActiveJob* job, std::uint64_t task) const {
  return std::any_of(runs_.begin(), runs_.end(),
                     [&](const Run& run) { return run.holds(job, task); });
}

bool InFlight::any_below(int priority, std::uint64_t before) const {
  for (const Run& run : runs_) {
    if (run.tasks.count > before && run.job->priority < priority) return true;
    before -= std::min(before, run.tasks.count);
  }
  return false;
}

std::uint64_t InFlight::count_of(const ActiveJob* job) const {
  std::uint64_t count = 0;
  for (const Run& run : runs_) count += run.job == job ? run.tasks.count : 0;
  return count;
}

}  // namespace bulkhead::detail
