// SPDX-License-Identifier: MIT
//
// The figures of the service and of its pool, for Prometheus.
#pragma once

#include <bulkhead/pool.hpp>
#include <bulkhead/prometheus.hpp>

#include <chrono>
#include <prometheus/counter.h>
#include <prometheus/family.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <string>

namespace service {

/// Any thread may call anything.
class Metrics {
 public:
  static constexpr const char* kType = "text/plain; version=0.0.4";

  explicit Metrics(const bulkhead::Pool& pool);

  /// A request has its answer.
  void count(unsigned status, std::chrono::duration<double> took);
  /// All figures as Prometheus wants them, of type kType.
  [[nodiscard]] std::string text() const;

 private:
  const bulkhead::PoolCollector pool_;
  prometheus::Registry registry_;
  prometheus::Family<prometheus::Counter>& answers_;
  prometheus::Histogram& latency_;
};

}  // namespace service
