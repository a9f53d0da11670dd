// SPDX-License-Identifier: MIT
#include "metrics.hpp"

#include <prometheus/text_serializer.h>
#include <utility>
#include <vector>

namespace service {
namespace {

const prometheus::Histogram::BucketBoundaries kSeconds = {.0005, .001, .002, .005, .01, .02,
                                                          .05,   .1,   .2,   .5,   1,   5};

}  // namespace

Metrics::Metrics(const bulkhead::Pool& pool)
    : pool_(pool, "images"),
      answers_(prometheus::BuildCounter()
                   .Name("service_answers_total")
                   .Help("Requests that have been answered, by status")
                   .Register(registry_)),
      latency_(prometheus::BuildHistogram()
                   .Name("service_latency_seconds")
                   .Help("From the last byte of a request to its answer")
                   .Register(registry_)
                   .Add({}, kSeconds)) {}

void Metrics::count(unsigned status, std::chrono::duration<double> took) {
  answers_.Add({{"status", std::to_string(status)}}).Increment();
  latency_.Observe(took.count());
}

std::string Metrics::text() const {
  std::vector<prometheus::MetricFamily> families = registry_.Collect();
  for (prometheus::MetricFamily& family : pool_.Collect()) families.push_back(std::move(family));
  return prometheus::TextSerializer().Serialize(families);
}

}  // namespace service
