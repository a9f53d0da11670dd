// SPDX-License-Identifier: MIT
//
// How long answers take, in several rounds of one sort of weather. A machine has moods: the median
// of rounds is not impressed by one.
#pragma once

#include "traffic.hpp"

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <vector>

namespace load {

inline double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

class Weather {
 public:
  void add(const Findings& found) {
    answered_ += found.answered;
    p50_.push_back(found.quantile(0.5));
    p99_.push_back(found.quantile(0.99));
    worst_ = std::max(worst_, found.quantile(1));
  }
  void report(const char* phase) const {
    std::printf(
        "%-8s %llu answered; p50 %.2f ms, p99 %.2f ms (medians of %zu rounds), worst %.0f ms\n",
        phase, static_cast<unsigned long long>(answered_), median(p50_), median(p99_), p99_.size(),
        worst_);
  }
  [[nodiscard]] double p99() const { return median(p99_); }

 private:
  std::uint64_t answered_ = 0;
  std::vector<double> p50_;  ///< of each round
  std::vector<double> p99_;
  double worst_ = 0;
};

}  // namespace load
