// SPDX-License-Identifier: MIT
#include "runtime/worker_books.hpp"

#include "worker/work_meter.hpp"

#include <algorithm>
#include <string>
#include <utility>

namespace bulkhead::detail {
namespace {

using std::chrono::nanoseconds;

nanoseconds word(const std::atomic<std::int64_t>& time, nanoseconds most) {
  return std::clamp(nanoseconds(time.load(std::memory_order_relaxed)), nanoseconds{0}, most);
}

}  // namespace

WorkFigures& WorkFigures::operator+=(const WorkFigures& other) {
  times.start += other.times.start;
  times.working += other.times.working;
  times.serialising += other.times.serialising;
  times.waiting += other.times.waiting;
  for (std::size_t i = 0; i < tasks.counts.size(); ++i) tasks.counts[i] += other.tasks.counts[i];
  tasks.sum += other.tasks.sum;
  bytes_sent += other.bytes_sent;
  bytes_received += other.bytes_received;
  return *this;
}

WorkFigures believed(const WorkWords& words, const WorkBounds& bounds) {
  static_assert(Stats::Histogram{}.counts.size() == kTimeBuckets);
  WorkFigures figures;
  const nanoseconds life = std::max(bounds.now - bounds.ready, nanoseconds{0});
  const nanoseconds working = word(words.working, life);
  const nanoseconds serialising = word(words.serialising, life - working);
  figures.times.start = bounds.ready - bounds.born;
  figures.times.working = working;
  figures.times.serialising = serialising;
  figures.times.waiting = life - working - serialising;
  std::uint64_t left = bounds.tasks;
  for (std::size_t i = 0; i < kTimeBuckets; ++i) {
    figures.tasks.counts[i] = std::min(words.counts[i].load(std::memory_order_relaxed), left);
    left -= figures.tasks.counts[i];
  }
  figures.tasks.sum = working + serialising;
  return figures;
}

void add_task(Stats::Histogram& tasks, Stats::Seconds time) {
  ++tasks.counts[time_bucket(std::chrono::duration_cast<nanoseconds>(time).count())];
  tasks.sum += time;
}

void add_unfinished(WorkFigures& figures, Stats::Seconds time) {
  const Stats::Seconds part = std::clamp(time, Stats::Seconds{}, figures.times.waiting);
  figures.times.waiting -= part;
  figures.times.working += part;
}

void SlowTasks::add(const CallName& call, std::uint64_t index, Stats::Seconds time,
                    std::uint32_t worker) {
  if (tasks_.size() == kSlowest && time <= tasks_.back().time) return;
  add({call.number, call.label ? *call.label : std::string(), index, time,
       static_cast<int>(worker)});
}

void SlowTasks::add(const SlowTasks& others) {
  for (const Stats::SlowTask& task : others.tasks_) add(task);
}

void SlowTasks::add(Stats::SlowTask task) {
  const auto place =
      std::find_if(tasks_.begin(), tasks_.end(),
                   [&](const Stats::SlowTask& other) { return other.time < task.time; });
  tasks_.insert(place, std::move(task));
  if (tasks_.size() > kSlowest) tasks_.pop_back();
}

const WorkFigures& ShownFigures::raise(const WorkFigures& figures) {
  const auto raise = [](auto& shown, const auto& now) { shown = std::max(shown, now); };
  raise(shown_.times.start, figures.times.start);
  raise(shown_.times.working, figures.times.working);
  raise(shown_.times.serialising, figures.times.serialising);
  raise(shown_.times.waiting, figures.times.waiting);
  for (std::size_t i = 0; i < shown_.tasks.counts.size(); ++i)
    raise(shown_.tasks.counts[i], figures.tasks.counts[i]);
  raise(shown_.tasks.sum, figures.tasks.sum);
  raise(shown_.bytes_sent, figures.bytes_sent);
  raise(shown_.bytes_received, figures.bytes_received);
  return shown_;
}

}  // namespace bulkhead::detail
