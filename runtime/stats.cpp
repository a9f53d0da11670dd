// SPDX-License-Identifier: MIT
#include "runtime/final_stats.hpp"
#include "runtime/time.hpp"
#include <bulkhead/stats.hpp>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>
#include <ostream>

#include <spdlog/fmt/fmt.h>

namespace bulkhead {
namespace {

/// "1.3 s", three digits.
std::string brief(Stats::Seconds time) {
  const double seconds = time.count();
  if (std::isinf(seconds)) return "long";
  if (seconds >= 1 || seconds == 0) return fmt::format("{:.3g} s", seconds);
  if (seconds >= 1e-3) return fmt::format("{:.3g} ms", seconds * 1e3);
  return seconds >= 1e-6 ? fmt::format("{:.3g} us", seconds * 1e6)
                         : fmt::format("{:.3g} ns", seconds * 1e9);
}

std::string size(std::uint64_t bytes) {
  constexpr double kMebi = 1 << 20;
  return fmt::format("{:.3g} MiB", static_cast<double>(bytes) / kMebi);
}

/// ", 3 crashed", if there are any.
std::string some(std::uint64_t count, const char* what) {
  return count == 0 ? std::string() : fmt::format(", {} {}", count, what);
}

std::string task_line(const Stats& stats) {
  const Stats::Outcomes& tasks = stats.tasks;
  return fmt::format("tasks    {} done", tasks.value) + some(tasks.exception, "threw") +
         some(tasks.crashed, "crashed") + some(tasks.timed_out, "timed out") +
         some(tasks.out_of_memory, "out of memory") + some(tasks.cancelled, "cancelled") +
         some(tasks.not_run, "not run") + some(stats.retried, "attempts failed and retried") +
         fmt::format("; {} running, {} waiting at workers, {} queued\n", stats.running,
                     stats.waiting, stats.queued);
}

std::string worker_line(const Stats& stats) {
  const Stats::Ends& ends = stats.worker_ends;
  std::uint64_t resident = 0;
  for (const Stats::Worker& worker : stats.workers) resident += worker.resident_bytes;
  const auto count = [&](Stats::WorkerState state) {
    return std::count_if(stats.workers.begin(), stats.workers.end(),
                         [state](const Stats::Worker& worker) { return worker.state == state; });
  };
  using State = Stats::WorkerState;
  return fmt::format(
             "workers  {} busy, {} idle, {} starting, {} ending, {} missing, {} resident; {} "
             "replaced",
             count(State::busy), count(State::idle), count(State::starting), count(State::ending),
             count(State::missing), size(resident), ends.replaced()) +
         some(ends.crashed, "crashed") + some(ends.timed_out, "at a time limit") +
         some(ends.out_of_memory, "out of memory") + some(ends.cancelled, "with a cancelled task") +
         some(ends.misconduct, "for misconduct") + some(ends.failed_start, "did not start") +
         some(ends.recycled, "recycled") + some(ends.idle, "left idle") +
         some(ends.resized, "resized away") + some(stats.refused_forks, "forks refused") + "\n";
}

std::string time_line(const Stats::Times& times) {
  const auto part = [&](const char* what, Stats::Seconds time) {
    return fmt::format("{} {:.1f}% ({})", what, 100 * times.share_of(time), brief(time));
  };
  return "time     " + part("working", times.working) + ", " + part("waiting", times.waiting) +
         ", " + part("serialising", times.serialising) + ", " + part("starting", times.start) +
         "\n";
}

std::string histogram_line(const Stats& stats) {
  const Stats::Histogram& tasks = stats.task_times;
  return fmt::format(
      "a task   {} on average, half within {}, 99% within {}; {} sent, {} received\n",
      brief(tasks.mean()), brief(tasks.quantile(0.5)), brief(tasks.quantile(0.99)),
      size(stats.bytes_sent), size(stats.bytes_received));
}

std::string slow_line(const Stats::SlowTask& task) {
  const std::string call = task.label.empty() ? fmt::format("call {}", task.call) : task.label;
  return fmt::format("slowest  {}, task {} of {}, worker {}\n", brief(task.time), task.index, call,
                     task.worker);
}

}  // namespace

Stats::Seconds Stats::Histogram::quantile(double q) const {
  const auto all = static_cast<double>(count());
  if (all == 0) return {};
  std::uint64_t below = 0;
  for (std::size_t i = 0; i < kBounds.size(); ++i) {
    below += counts[i];
    if (static_cast<double>(below) >= q * all) return Seconds(kBounds[i]);
  }
  return Seconds(std::numeric_limits<double>::infinity());
}

const char* to_string(Stats::WorkerState state) noexcept {
  switch (state) {
    case Stats::WorkerState::missing:
      return "missing";
    case Stats::WorkerState::starting:
      return "starting";
    case Stats::WorkerState::idle:
      return "idle";
    case Stats::WorkerState::busy:
      return "busy";
    case Stats::WorkerState::ending:
      break;
  }
  return "ending";
}

std::string to_string(const Stats& stats) {
  std::string text =
      task_line(stats) + worker_line(stats) + time_line(stats.times) + histogram_line(stats);
  for (const Stats::SlowTask& task : stats.slowest) text += slow_line(task);
  return text;
}

std::ostream& operator<<(std::ostream& out, const Stats& stats) {
  return out << to_string(stats);
}

Stats StatsReader::operator()() const {
  if (const auto engine = engine_.lock()) return engine->stats();
  const std::lock_guard lock(final_->mutex);
  return final_->last;
}

}  // namespace bulkhead
