// SPDX-License-Identifier: MIT
//
// What can be seen of a worker from outside: its figures, its slowest tasks, its part of a trace.
#include "runtime/slot.hpp"
#include "runtime/trace.hpp"

#include <algorithm>

namespace bulkhead::detail {
namespace {

Slot::Time time_of(const std::atomic<std::int64_t>& word) {
  return Slot::Time(std::chrono::nanoseconds(word.load(std::memory_order_relaxed)));
}

}  // namespace

/// Nothing: it is not, as it says itself.
std::optional<Slot::Time> Slot::ready_at(Time now) const {
  const Time time = time_of(link_->work().ready_at);
  if (time == Time{}) return std::nullopt;
  return std::clamp(time, born_, now);
}

/// Since when it has been at what it does, by its own word.
Slot::Time Slot::busy_since(Time now) const {
  return std::clamp(time_of(link_->work().looked_at), ready_at(now).value_or(now), now);
}

WorkFigures Slot::figures(Time now) const {
  WorkFigures figures =
      believed(link_->work(), {born_, ready_at(now).value_or(now), now,
                               std::min(link_->tasks_begun(), sent_)});
  figures.bytes_sent = link_->tasks().written();
  figures.bytes_received = link_->answers().position();
  return figures;
}

Stats::Worker Slot::look(Time now) const {
  Stats::Worker worker;
  worker.number = static_cast<int>(number_);
  if (state_ == State::vacant) return worker;
  worker.pid = pid_;
  worker.age = now - born_;
  worker.tasks_done = settled_ - skipped_;
  worker.tasks_held = queue_.size();
  WorkFigures mine = figures(now);
  const std::uint64_t begun = link_->tasks_begun();
  if (alive() && link_->is_awake() && begun > settled_ && begun - settled_ <= queue_.size()) {
    const Run run = queue_.at(begun - settled_ - 1);
    worker.running = {run.job->name.number, run.tasks.first, now - busy_since(now)};
    add_unfinished(mine, worker.running->since);
  }
  worker.times = mine.times;
  using Shown = Stats::WorkerState;
  if (state_ == State::doomed || dismissed_) {
    worker.state = Shown::ending;
  } else if (!ready_at(now)) {
    worker.state = Shown::starting;
  } else {
    worker.state = worker.running ? Shown::busy : Shown::idle;
  }
  return worker;
}

/// The first `count` tasks of the queue have ended, as the worker says.
void Slot::note_batch(std::uint64_t count) {
  const Run& run = queue_.front();
  latest_batch_ ^= 1;
  Batch& batch = batches_[latest_batch_];
  batch.number = settled_ + 1;
  batch.count = count;
  batch.first = run.tasks.first;
  batch.call.number = run.job->name.number;
  if (batch.call.label != run.job->name.label) [[unlikely]]
    batch.call.label = run.job->name.label;
  if (link_->slow_changes() != slow_seen_) [[unlikely]]
    note_slow();
}

/// A word of the worker's may come a moment after the answer that it is about. One that is about a
/// later answer is read again.
void Slot::note_slow() {
  const std::uint32_t changes = link_->slow_changes();
  const std::uint64_t end = batches_[latest_batch_].number + batches_[latest_batch_].count;
  const std::chrono::nanoseconds life = std::chrono::steady_clock::now() - born_;
  bool early = false;
  for (std::size_t i = 0; i < kSlowest; ++i) {
    const WorkWords::Slow& word = link_->work().slowest[i];
    const std::uint64_t number = word.number.load(std::memory_order_relaxed);
    const std::chrono::nanoseconds time(word.time.load(std::memory_order_relaxed));
    if (number >= end) early = true;
    for (const Batch& batch : batches_) {
      if (number == slow_taken_[i] || number - batch.number >= batch.count) continue;
      slow_taken_[i] = number;
      slow_.add(batch.call, batch.first + (number - batch.number),
                std::clamp(time, std::chrono::nanoseconds{0}, life), number_);
    }
  }
  if (!early) slow_seen_ = changes;
}

/// The task that had begun has ended with its worker, which cannot say how long that has taken.
void Slot::note_unfinished(Corpse& corpse, Time now) {
  if (corpse.begun.empty()) return;
  const Stats::Seconds time = now - busy_since(now);
  const Run& run = corpse.begun.front();
  add_unfinished(corpse.figures, time);
  add_task(corpse.figures.tasks, time);
  slow_.add(run.job->name, run.tasks.first, time, number_);
}

void Slot::trace_answers(std::uint64_t count, std::optional<std::uint64_t> failed) {
  const Run& run = queue_.front();
  for (std::uint64_t i = 0; i < count; ++i) {
    const std::uint64_t task = run.tasks.first + i;
    trace_->task({number_, run.job->name, task, run.job->attempts.next(task),
                  failed == task ? "exception" : "value"},
                 link_->task_times(settled_ + i + 1));
  }
}

}  // namespace bulkhead::detail
