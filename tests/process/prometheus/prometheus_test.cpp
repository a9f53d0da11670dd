// SPDX-License-Identifier: MIT
//
// A pool's figures for Prometheus.
#include "tests/support/numbers.hpp"
#include "tests/support/process.hpp"
#include "tests/support/shared.hpp"
#include "tests/support/victims.hpp"
#include <bulkhead/prometheus.hpp>

#include <atomic>
#include <memory>
#include <optional>
#include <prometheus/check_names.h>
#include <prometheus/text_serializer.h>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>

namespace bulkhead {
namespace {

using test::numbers;
using ::testing::HasSubstr;
using PrometheusTest = test::ProcessTest;

int increment(int x) {
  return x + 1;
}

std::string scraped(const PoolCollector& figures) {
  return prometheus::TextSerializer().Serialize(figures.Collect());
}

TEST_F(PrometheusTest, HasWhatThePoolHasDone) {
  Pool pool(2);
  const PoolCollector figures(pool, "parsers");
  (void)pool.try_map(test::only_at<3, test::aborts>, numbers(0, 10));
  const std::string text = scraped(figures);
  EXPECT_THAT(text, HasSubstr("bulkhead_tasks_total{pool=\"parsers\",outcome=\"value\"} 9\n"));
  EXPECT_THAT(text, HasSubstr("bulkhead_tasks_total{pool=\"parsers\",outcome=\"crashed\"} 1\n"));
  EXPECT_THAT(text,
              HasSubstr("bulkhead_worker_ends_total{pool=\"parsers\",cause=\"crashed\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("bulkhead_queue_tasks{pool=\"parsers\",state=\"queued\"} 0\n"));
  EXPECT_THAT(text, HasSubstr("# TYPE bulkhead_task_seconds histogram\n"));
  EXPECT_THAT(text, HasSubstr("bulkhead_task_seconds_bucket{pool=\"parsers\",le=\"+Inf\"}"));
  EXPECT_THAT(text, HasSubstr("bulkhead_worker_resident_bytes{pool=\"parsers\",worker=\"1\"}"));
}

/// Each family once; counters end in _total, and those alone.
TEST_F(PrometheusTest, KeepsToTheConventions) {
  Pool pool(2);
  const PoolCollector figures(pool, "x");
  std::set<std::string> names;
  for (const prometheus::MetricFamily& family : figures.Collect()) {
    EXPECT_TRUE(names.insert(family.name).second) << family.name;
    EXPECT_TRUE(prometheus::CheckMetricName(family.name)) << family.name;
    EXPECT_TRUE(family.name.starts_with("bulkhead_")) << family.name;
    EXPECT_FALSE(family.help.empty()) << family.name;
    EXPECT_EQ(family.name.ends_with("_total"), family.type == prometheus::MetricType::Counter)
        << family.name;
    for (const prometheus::ClientMetric& metric : family.metric) {
      ASSERT_FALSE(metric.label.empty()) << family.name;
      EXPECT_EQ(metric.label[0].name, "pool");
      EXPECT_EQ(metric.label[0].value, "x");
    }
  }
  EXPECT_GE(names.size(), 12U);
}

TEST_F(PrometheusTest, BucketsAddUp) {
  Pool pool(2);
  const PoolCollector figures(pool, "x");
  (void)pool.map(increment, numbers(0, 1000));
  ASSERT_TRUE(test::eventually([&] { return pool.stats().task_times.count() == 1000; }));
  for (const prometheus::MetricFamily& family : figures.Collect()) {
    if (family.name != "bulkhead_task_seconds") continue;
    const auto& histogram = family.metric.at(0).histogram;
    EXPECT_EQ(histogram.sample_count, 1000U);
    EXPECT_GT(histogram.sample_sum, 0.0);
    std::uint64_t before = 0;
    for (const auto& bucket : histogram.bucket) {
      EXPECT_GE(bucket.cumulative_count, before);
      before = bucket.cumulative_count;
    }
    EXPECT_EQ(before, 1000U);
  }
}

TEST_F(PrometheusTest, OutlivesThePool) {
  std::optional<Pool> pool(std::in_place, 2);
  const PoolCollector figures(*pool, "gone");
  (void)pool->map(increment, numbers(0, 10));
  pool.reset();
  const std::string text = scraped(figures);
  EXPECT_THAT(text, HasSubstr("bulkhead_tasks_total{pool=\"gone\",outcome=\"value\"} 10\n"));
  EXPECT_THAT(text, HasSubstr("bulkhead_workers{pool=\"gone\",state=\"idle\"} 0\n"));
}

TEST_F(PrometheusTest, MayBeScrapedWhileThePoolWorksAndEnds) {
  for (int round = 0; round < 5; ++round) {
    std::optional<Pool> pool(std::in_place, 1);
    std::atomic<bool> begun = false;
    std::thread scraper([&, figures = std::make_shared<PoolCollector>(*pool, "x")] {
      for (int i = 0; i < 100; ++i) {
        EXPECT_FALSE(figures->Collect().empty());
        begun = true;
      }
    });
    ASSERT_TRUE(test::eventually([&] { return begun.load(); }));
    (void)pool->map(increment, numbers(0, 10'000));
    pool.reset();
    scraper.join();
  }
}

}  // namespace
}  // namespace bulkhead
