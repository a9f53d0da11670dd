// SPDX-License-Identifier: MIT
//
// What is seen of a pool from outside: figures, and the trace.
#include "runtime/coordinator.hpp"
#include "worker/host.hpp"

#include <algorithm>
#include <string>
#include <utility>

namespace bulkhead::detail {

/// What ends after this is counted among what has been.
Stats Coordinator::stats() {
  require_owner(owner_);
  Stats stats;
  {
    const Lock lock = enter();
    const Inside inside(inside_);
    hear_zygote();  // of workers that have left since the pool was used
    fill(stats);
  }
  for (Stats::Worker& worker : stats.workers) {
    if (worker.pid != 0) worker.resident_bytes = resident_bytes(worker.pid);
  }
  return stats;
}

void Coordinator::fill(Stats& stats) {
  const auto now = Clock::now();
  Tally tally = past_.tally;
  for (const Entry* entry : jobs_) {
    tally += entry->active.tally();
    stats.queued += entry->active.ledger.unsent();
  }
  stats.tasks = tally.outcomes;
  stats.retried = tally.retried;
  stats.calls = past_.calls;
  stats.worker_starts = past_.starts;
  stats.worker_ends = past_.ends;
  stats.refused_forks = past_.refusals;

  WorkFigures work = past_.work;
  SlowTasks slowest;
  for (Slot& slot : slots_) {
    slowest.add(slot.slowest());
    if (!zygote_) continue;
    Stats::Worker worker = slot.look(now);
    worker.number = static_cast<int>(slot.number());
    stats.running += worker.running ? 1 : 0;
    stats.waiting += worker.tasks_held - (worker.running ? 1 : 0);
    if (slot.state() != Slot::State::vacant) {
      WorkFigures mine = slot.figures(now);
      mine.times = worker.times;
      work += mine;
    }
    stats.workers.push_back(std::move(worker));
  }
  for (const Slot::Corpse& corpse : fallen_) {
    work += corpse.figures;
    for (const Run& run : corpse.begun) stats.running += run.tasks.count;
  }
  const WorkFigures& shown = shown_.raise(work);
  stats.times = shown.times;
  stats.task_times = shown.tasks;
  stats.bytes_sent = shown.bytes_sent;
  stats.bytes_received = shown.bytes_received;
  stats.slowest = slowest.all();
}

void Coordinator::note_begin(Entry& entry) {
  CallName& name = entry.active.name;
  name.number = ++past_.calls;
  name.label = entry.options.label.text();
  if (trace_) trace_->begin_call(entry.active.name);
}

void Coordinator::note_end(const Entry& entry) {
  const ActiveJob& job = entry.active;
  past_.tally.outcomes.value += job.ledger.settled() - job.ledger.failed();
  if (job.failure_counts) past_.tally += *job.failure_counts;
  if (trace_) trace_->end_call(entry.active.name);
}

void Coordinator::note_begin(Slot& slot) {
  if (slot.pid() != 0) note_start(slot);  // it stood by
  if (!trace_) return;
  slot.trace_to(&*trace_);
  trace_->fork_worker(slot.number());
}

/// Its worker has a process.
void Coordinator::note_start(const Slot& slot) {
  ++past_.starts;
  log_.debug("worker " + std::to_string(slot.number()) + " is process " +
             std::to_string(slot.pid()));
}

void Coordinator::note_ready(const Slot& slot) {
  const auto now = Clock::now();
  if (trace_)
    trace_->start_worker(slot.number(), slot.pid(), slot.born(), slot.ready_at(now).value_or(now));
}

/// `cause` in words, too, for the trace.
void Coordinator::note_end(const Slot::Corpse& corpse, std::uint64_t Stats::Ends::*kind,
                           const std::string& cause) {
  ++(past_.ends.*kind);
  past_.work += corpse.figures;
  if (trace_) trace_->end_worker(corpse.number, corpse.pid, cause);
}

/// The tasks that `corpse` had begun have failed, and may be run again.
void Coordinator::trace_failures(const Slot::Corpse& corpse, FailureKind kind) {
  if (!trace_) return;
  std::uint64_t number = corpse.first_begun;
  for (const Run& run : corpse.begun) {
    for (std::uint64_t i = 0; i < run.tasks.count; ++i) {
      const std::uint64_t task = run.tasks.first + i;
      const int attempt = run.job->attempts.next(task);
      trace_->task({corpse.number, run.job->name, task, attempt, to_string(kind)},
                   corpse.link->task_times(number++));
    }
  }
}

}  // namespace bulkhead::detail
