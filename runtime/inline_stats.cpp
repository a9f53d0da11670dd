// SPDX-License-Identifier: MIT
//
// What is seen of inline tasks from outside: one worker, which is this process.
#include "runtime/inline_engine.hpp"
#include "worker/host.hpp"

#include <algorithm>
#include <memory>
#include <string>
#include <utility>

namespace bulkhead::detail {

/// Its coding is part of its time here.
Stats InlineEngine::stats() {
  require_usable();
  const auto now = std::chrono::steady_clock::now();
  Stats stats;
  const Lock lock(mutex_);
  Tally tally = seen_.tally;
  for (const auto& [call, books] : seen_.active) {
    tally += books.tally;
    stats.queued += books.unsent;
  }
  stats.tasks = tally.outcomes;
  stats.retried = tally.retried;
  stats.calls = seen_.calls;
  stats.task_times = seen_.tasks;
  stats.slowest = seen_.slowest.all();
  stats.times.start = seen_.start;
  stats.times.working = seen_.tasks.sum;
  if (state_ == State::terminated) return stats;
  Stats::Worker worker;
  worker.pid = owner_;
  worker.state = seen_.running ? Stats::WorkerState::busy : Stats::WorkerState::idle;
  worker.age = now - seen_.born;
  worker.tasks_done = seen_.tasks.count();
  worker.tasks_held = seen_.running ? 1 : 0;
  if (seen_.running) {
    worker.running = {seen_.running->call, seen_.running->index, now - seen_.running->since};
    stats.times.working += worker.running->since;
    stats.running = 1;
  }
  stats.times.waiting = std::max(worker.age - stats.times.all(), Stats::Seconds{});
  worker.times = stats.times;
  worker.resident_bytes = resident_bytes(owner_);
  stats.workers.push_back(std::move(worker));
  return stats;
}

void InlineEngine::note_begin(ActiveCall& call, const CallOptions& options) {
  const Lock lock(mutex_);
  call.active.name = {++seen_.calls, options.label.text()};
  if (trace_) trace_->begin_call(call.active.name);
}

void InlineEngine::note_end(ActiveCall& call) {
  const Lock lock(mutex_);
  seen_.active.erase(&call);
  seen_.tally += call.active.tally();
  if (trace_) trace_->end_call(call.active.name);
}

void InlineEngine::note_begin(const ActiveCall& call, std::uint64_t task) {
  const Lock lock(mutex_);
  seen_.running = Running{call.active.name.number, task, std::chrono::steady_clock::now()};
}

void InlineEngine::note_end(ActiveCall& call, std::uint64_t task, int attempt,
                            const char* outcome) {
  const Lock lock(mutex_);
  seen_.active[&call] = {call.active.tally(), call.active.ledger.unsent()};
  const auto from = std::exchange(seen_.running, {})->since;
  const auto to = std::chrono::steady_clock::now();
  add_task(seen_.tasks, to - from);
  seen_.slowest.add(call.active.name, task, to - from, 0);
  if (trace_)
    trace_->task({0, call.active.name, task, attempt, outcome}, Link::TaskTimes{from, to});
}

}  // namespace bulkhead::detail
