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
#include <string>
#include <utility>
#include <vector>

#include <prometheus/collectable.h>
#include <prometheus/metric_family.h>

namespace bulkhead {

/// Reads the pool's stats() at each Collect(), in the thread that scrapes. May outlive the pool, and
/// be scraped while the pool ends: then the counters keep their last values.
class PoolCollector final : public prometheus::Collectable {
 public:
  /// All metrics have the label pool="`name`".
  PoolCollector(const Pool& pool, std::string name)
      : read_(pool.stats_reader()), name_(std::move(name)) {}

  [[nodiscard]] std::vector<prometheus::MetricFamily> Collect() const override;

 private:
  const StatsReader read_;
  const std::string name_;
};

}  // namespace bulkhead
