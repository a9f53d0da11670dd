// SPDX-License-Identifier: MIT
//
// A job with the engine's books on it.
#pragma once

#include "runtime/attempts.hpp"
#include "runtime/ledger.hpp"
#include "runtime/pace.hpp"
#include "runtime/replay_saver.hpp"
#include "runtime/tally.hpp"
#include "runtime/time.hpp"
#include <bulkhead/detail/job.hpp>
#include <bulkhead/options.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace bulkhead::detail {

struct ActiveJob {
  using Clock = std::chrono::steady_clock;

  /// `options` are used as long as the job lasts.
  ActiveJob(Job& a_job, std::uint32_t number, const std::vector<std::byte>& definition,
            const CallOptions& options)
      : job(a_job),
        callable(number),
        define(definition),
        timeout(options.timeout),
        priority(options.priority),
        attempts(options.retries) {}

  Job& job;
  CallName name;
  std::unique_ptr<Tally> failure_counts;  ///< null: none of its tasks has failed
  std::uint32_t callable;                 ///< its number in the workers
  const std::vector<std::byte>& define;   ///< payload of the frame that tells a worker what that is
  const TimeLimit timeout;                ///< of each task, from when it begins
  const int priority;
  Ledger ledger;
  Pace pace;
  Attempts attempts;
  std::optional<ReplaySaver> saver;                  ///< nothing: failed tasks are not saved
  std::map<std::uint64_t, int> returns_after_death;  ///< by task: see Slot::had_begun
  /// In a row, of workers that may have been rebuilding the callable.
  int deaths_in_definition = 0;
  bool full = false;       ///< there are results enough: see Job::horizon()
  bool stopped = false;    ///< its waiting tasks are to be taken back from the workers
  bool abandoned = false;  ///< its running tasks are to be killed
  std::string why_abandoned;

  /// The tasks of a worker from `first` on have ended, as many as `settled` says.
  void settle(std::uint64_t first, const Settled& settled) {
    if (settled.failed != 0) [[unlikely]]
      note_failures(FailureKind::exception, settled.failed);  // while decoding
    close(first, settled);
  }
  /// The argument of a task was not encoded: see Job::Encoded.
  void refuse(std::uint64_t task, std::optional<FailureKind> kind) {
    if (kind) note_failures(*kind, 1);
    close(task, {1, 1, task, false});
  }
  /// How its tasks have ended so far.
  [[nodiscard]] Tally tally() const {
    Tally all = failure_counts ? *failure_counts : Tally{};
    all.outcomes.value = ledger.settled() - ledger.failed();
    return all;
  }
  Tally& failures() {
    if (!failure_counts) failure_counts = std::make_unique<Tally>();
    return *failure_counts;
  }
  void note_failures(FailureKind kind, std::uint64_t count) { failures().of(kind) += count; }
  /// The same, without a word of how.
  void close(std::uint64_t first, const Settled& settled) {
    attempts.forget({first, settled.count});
    ledger.settle(settled);
    if (settled.failed != 0 && job.stops_at_failure()) stop_at(settled.lowest_failed);
    if (settled.failed != 0) give_back_if([this](std::uint64_t task) { return !job.wants(task); });
    const bool has_enough = job.horizon() != Ledger::kAll;
    if (!std::exchange(full, has_enough) && has_enough) stopped = true;
  }
  /// One task has failed: for good, or until it is run again. Its worker claims that it was at that
  /// element.
  void fail(FailureDetails details, std::uint64_t claimed = kNoElement) {
    const std::uint64_t task = details.task;
    const auto now = Clock::now();
    details.task = job.element_of(task, claimed);
    if (const std::string place = job.place_of(details.task); !place.empty())
      details.message += "; in " + place;
    const bool wanted = task < ledger.limit() && job.wants(task);
    const bool again = attempts.note_failure(task, details, now, wanted);
    job.narrow(task, details.task, again);
    if (again) {
      failures().retried += 1;
      release_due(now);
    } else {
      note_failures(details.kind, 1);
      if (saver) saver->save(job, task, define, details);
      job.fail(task, Failure(std::move(details)));
      close(task, {1, 1, task, false});
    }
  }
  /// Failed tasks that may be run again now can be given out. True if there were any.
  bool release_due(Clock::time_point now) {
    bool any = false;
    attempts.take_due(now, [&](std::uint64_t task) {
      ledger.give_back({task, 1});
      any = true;
    });
    return any;
  }
  /// The task, which has been spoilt, is not run again: if it waits for that, it can be given out
  /// now, and is refused.
  void end_attempts(std::uint64_t task) {
    if (attempts.end(task)) ledger.give_back({task, 1});
  }
  /// Those that have failed, and now will not be run again, fail as `why` says.
  void give_up_retries(const FailureDetails& why) {
    attempts.take_failed([&](std::uint64_t task, std::vector<Failure> failures) {
      FailureDetails details = why;
      details.task = job.element_of(task, kNoElement);
      details.attempt = static_cast<int>(failures.size()) + 1;
      details.earlier = std::move(failures);
      job.fail(task, Failure(std::move(details)));
    });
  }
  void stop_at(std::uint64_t limit) {
    ledger.stop_at(limit);
    give_back_if([this](std::uint64_t task) { return task >= ledger.limit(); });
    stopped = true;
  }
  /// Nobody wants its results any more, not even those of the tasks that run.
  void abandon(std::string why) {
    why_abandoned = std::move(why);
    abandoned = true;
    stop_at(0);
  }
  /// Asks the source for its first element, so that an empty job is known to be done.
  void prime() { draw(1); }
  /// True if a task could be given out; draws on the source for that, if need be.
  bool has_work() {
    if (full) return false;
    if (ledger.unsent() == 0 && ledger.wants_more()) draw(1);
    return ledger.has_work();
  }
  /// Gives out at most `most` tasks, drawing on the source where that is needed. A task that has
  /// failed before comes alone.
  TaskRange take(std::uint64_t most) {
    if (ledger.unsent() < most && ledger.wants_more()) draw(most);
    TaskRange range = ledger.take(most, job.horizon());
    const std::optional<std::uint64_t> failed = attempts.failed_from(range.first);
    if (!failed) return range;
    const std::uint64_t count =
        std::min(range.count, std::max<std::uint64_t>(*failed - range.first, 1));
    if (count < range.count) ledger.give_back({range.first + count, range.count - count});
    return {range.first, count};
  }

 private:
  /// Such tasks that wait for their next attempt need not wait.
  template <class Chosen>
  void give_back_if(Chosen chosen) {
    attempts.take_if(chosen, [this](std::uint64_t task) { ledger.give_back({task, 1}); });
  }
  void draw(std::uint64_t more) {
    const Job::Supply supply = job.supply(ledger.known() + more);
    ledger.extend(supply.known, supply.complete);
    if (supply.failed) stop_at(0);
  }
};

}  // namespace bulkhead::detail
