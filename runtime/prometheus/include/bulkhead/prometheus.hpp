// SPDX-License-Identifier: MIT
//
// A pool's figures for Prometheus, with prometheus-cpp; the CMake target bulkhead::prometheus.
//
//   prometheus::Exposer exposer("127.0.0.1:9090");
//   const auto figures = std::make_shared<bulkhead::PoolCollector>(pool, "parsers");
//   exposer.RegisterCollectable(figures);
//
// or, in a server of one's own: prometheus::TextSerializer().Serialize(figures->Collect()).
#pragma once

#include <bulkhead/pool.hpp>
#include <bulkhead/stats.hpp>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <prometheus/collectable.h>
#include <prometheus/metric_family.h>
#include <string>
#include <utility>
#include <vector>

namespace bulkhead {

/// Reads the pool's stats() at each Collect(), in the thread that scrapes. May outlive the pool,
/// and be scraped while the pool ends: then the counters keep their last values. In a forked copy
/// of the process Collect() throws PoolClosed, as the pool does.
class PoolCollector final : public prometheus::Collectable {
 public:
  /// All metrics have the label pool="`name`".
  PoolCollector(const Pool& pool, std::string name)
      : read_(pool.stats_reader()), name_(std::move(name)) {}

  [[nodiscard]] std::vector<prometheus::MetricFamily> Collect() const override {
    const Stats stats = read_();
    return {
        tasks(stats.tasks),
        single("bulkhead_task_retries_total", "Attempts that failed and were followed by another",
               Type::Counter, stats.retried),
        task_seconds(stats.task_times),
        unfinished(stats),
        single("bulkhead_calls_total", "Calls begun", Type::Counter, stats.calls),
        workers(stats),
        resident(stats),
        worker_seconds(stats.times),
        single("bulkhead_worker_starts_total", "Worker processes started", Type::Counter,
               stats.worker_starts),
        worker_ends(stats.worker_ends),
        single("bulkhead_fork_refusals_total", "Workers that the system refused to start",
               Type::Counter, stats.refused_forks),
        single("bulkhead_sent_bytes_total", "Bytes sent to workers", Type::Counter,
               stats.bytes_sent),
        single("bulkhead_received_bytes_total", "Bytes received from workers", Type::Counter,
               stats.bytes_received)};
  }

 private:
  using Type = prometheus::MetricType;

  static prometheus::MetricFamily family(const char* name, const char* help, Type type) {
    prometheus::MetricFamily made;
    made.name = name;
    made.help = help;
    made.type = type;
    return made;
  }
  /// A metric with the pool's label, and perhaps another.
  [[nodiscard]] prometheus::ClientMetric metric(const char* label, const char* value) const {
    prometheus::ClientMetric made;
    made.label.push_back({"pool", name_});
    if (label != nullptr) made.label.push_back({label, value});
    return made;
  }
  template <class Number>
  void add(prometheus::MetricFamily& to, const char* label, const char* value,
           Number number) const {
    prometheus::ClientMetric made = metric(label, value);
    (to.type == Type::Counter ? made.counter.value : made.gauge.value) =
        static_cast<double>(number);
    to.metric.push_back(std::move(made));
  }

  [[nodiscard]] prometheus::MetricFamily single(const char* name, const char* help, Type type,
                                                std::uint64_t value) const {
    auto made = family(name, help, type);
    add(made, nullptr, nullptr, value);
    return made;
  }
  [[nodiscard]] prometheus::MetricFamily tasks(const Stats::Outcomes& outcomes) const {
    auto made = family("bulkhead_tasks_total", "Tasks that have ended, by outcome", Type::Counter);
    const auto put = [&](const char* outcome, std::uint64_t count) {
      add(made, "outcome", outcome, count);
    };
    put("value", outcomes.value);
    put("exception", outcomes.exception);
    put("crashed", outcomes.crashed);
    put("timed_out", outcomes.timed_out);
    put("out_of_memory", outcomes.out_of_memory);
    put("cancelled", outcomes.cancelled);
    put("not_run", outcomes.not_run);
    return made;
  }
  [[nodiscard]] prometheus::MetricFamily task_seconds(const Stats::Histogram& times) const {
    auto made = family("bulkhead_task_seconds", "Times that attempts at tasks took in workers",
                       Type::Histogram);
    prometheus::ClientMetric one = metric(nullptr, nullptr);
    one.histogram.sample_sum = times.sum.count();
    for (std::size_t i = 0; i < times.counts.size(); ++i) {
      one.histogram.sample_count += times.counts[i];
      const bool last = i == Stats::Histogram::kBounds.size();
      one.histogram.bucket.push_back(
          {one.histogram.sample_count,
           last ? std::numeric_limits<double>::infinity() : Stats::Histogram::kBounds[i]});
    }
    made.metric.push_back(std::move(one));
    return made;
  }
  [[nodiscard]] prometheus::MetricFamily unfinished(const Stats& stats) const {
    auto made =
        family("bulkhead_queue_tasks", "Tasks that have not ended, by where they are", Type::Gauge);
    add(made, "state", "queued", stats.queued);
    add(made, "state", "waiting", stats.waiting);
    add(made, "state", "running", stats.running);
    return made;
  }
  [[nodiscard]] prometheus::MetricFamily workers(const Stats& stats) const {
    auto made = family("bulkhead_workers", "Workers, by state", Type::Gauge);
    using State = Stats::WorkerState;
    for (const State state :
         {State::busy, State::idle, State::starting, State::ending, State::missing}) {
      std::size_t count = 0;
      for (const Stats::Worker& worker : stats.workers) count += worker.state == state ? 1 : 0;
      add(made, "state", to_string(state), count);
    }
    return made;
  }
  [[nodiscard]] prometheus::MetricFamily resident(const Stats& stats) const {
    auto made =
        family("bulkhead_worker_resident_bytes", "Resident memory of each worker", Type::Gauge);
    for (const Stats::Worker& worker : stats.workers)
      add(made, "worker", std::to_string(worker.number).c_str(), worker.resident_bytes);
    return made;
  }
  [[nodiscard]] prometheus::MetricFamily worker_seconds(const Stats::Times& times) const {
    auto made = family("bulkhead_worker_seconds_total",
                       "What workers have spent their time with, all together", Type::Counter);
    add(made, "activity", "starting", times.start.count());
    add(made, "activity", "waiting", times.waiting.count());
    add(made, "activity", "working", times.working.count());
    add(made, "activity", "serialising", times.serialising.count());
    return made;
  }
  [[nodiscard]] prometheus::MetricFamily worker_ends(const Stats::Ends& ends) const {
    auto made =
        family("bulkhead_worker_ends_total", "Workers that have ended, by cause", Type::Counter);
    const auto put = [&](const char* cause, std::uint64_t count) {
      add(made, "cause", cause, count);
    };
    put("crashed", ends.crashed);
    put("timed_out", ends.timed_out);
    put("out_of_memory", ends.out_of_memory);
    put("cancelled", ends.cancelled);
    put("misconduct", ends.misconduct);
    put("failed_start", ends.failed_start);
    put("recycled", ends.recycled);
    put("idle", ends.idle);
    put("resized", ends.resized);
    return made;
  }

  const StatsReader read_;
  const std::string name_;
};

}  // namespace bulkhead
