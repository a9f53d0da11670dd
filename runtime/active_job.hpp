// SPDX-License-Identifier: MIT
//
// A job with the engine's books on it.
#pragma once

#include "runtime/ledger.hpp"
#include "runtime/pace.hpp"
#include <bulkhead/detail/job.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <utility>
#include <vector>

namespace bulkhead::detail {

/// Of each task of a job, from when it begins.
using TimeLimit = std::optional<std::chrono::nanoseconds>;

struct ActiveJob {
  ActiveJob(Job& a_job, std::uint32_t number, const std::vector<std::byte>& definition,
            TimeLimit limit = {})
      : job(a_job), callable(number), define(definition), timeout(limit) {}

  Job& job;
  std::uint32_t callable;                ///< its number in the workers
  const std::vector<std::byte>& define;  ///< payload of the frame that tells a worker what that is
  const TimeLimit timeout;
  Ledger ledger;
  Pace pace;
  std::map<std::uint64_t, int> returns_after_death;  ///< by task: see Slot::had_begun
  int deaths_in_definition =
      0;                   ///< in a row, of workers that may have been rebuilding the callable
  bool stopped = false;    ///< its waiting tasks are to be taken back from the workers
  bool abandoned = false;  ///< its running tasks are to be killed

  /// Tasks at the front of a worker's queue have ended.
  void settle(const Settled& settled) {
    ledger.settle(settled);
    if (settled.failed != 0 && job.stops_at_failure()) stop_at(settled.lowest_failed);
  }
  /// One task has ended without a value.
  void fail(std::uint64_t task, Failure failure) {
    job.fail(task, std::move(failure));
    settle({1, 1, task});
  }
  void stop_at(std::uint64_t limit) {
    ledger.stop_at(limit);
    stopped = true;
  }
  /// Nobody wants its results any more, not even those of the tasks that run.
  void abandon() {
    abandoned = true;
    stop_at(0);
  }
  /// Asks the source for its first element, so that an empty job is known to be done.
  void prime() { draw(1); }
  /// Gives out at most `most` tasks, drawing on the source where that is needed.
  TaskRange take(std::uint64_t most) {
    // Few at a time: elements that were drawn and do not fit into a ring are kept.
    if (ledger.unsent() < most && ledger.wants_more()) draw(std::min(most, kDrawnAtOnce));
    return ledger.take(most);
  }

 private:
  static constexpr std::uint64_t kDrawnAtOnce = 64;

  void draw(std::uint64_t more) {
    const Job::Supply supply = job.supply(ledger.known() + more);
    ledger.extend(supply.known, supply.complete);
    if (supply.failed) stop_at(0);
  }
};

}  // namespace bulkhead::detail
