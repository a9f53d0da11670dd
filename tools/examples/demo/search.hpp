// SPDX-License-Identifier: MIT
//
// Section 2 of the demo: which setting of the classifier reads digits best? Every setting is
// cross-validated by one task, in whichever worker is free.

#pragma once

#include "classifier.hpp"
#include "digits.hpp"
#include <bulkhead/pool.hpp>

#include <vector>

namespace demo {

/// How well one setting did in cross-validation.
struct Score {
  double accuracy = 0.0;  // share of all rows read right, each while it was held out
  double spread = 0.0;    // standard deviation of the accuracy between folds

  bool operator==(const Score&) const = default;

  template <class Archive>
  void serialize(Archive& archive) {
    archive(accuracy, spread);
  }
};

/// The settings of the search, in a fixed order: 48, or 12 small ones when `quick`.
std::vector<Setting> make_grid(bool quick);

/// Sets the data that evaluate() reads. Call it before the pool is made: workers are forked then
/// and inherit the data in place, so that it is in memory once and never sent to anyone.
void set_search_data(Digits digits);

/// The task: 5-fold cross-validation of one setting. A pure function of the setting and the data,
/// so the score is the same to the last bit in any process.
Score evaluate(const Setting& setting);

/// Scores of all settings, in their order. Throws the failure of the first setting that failed.
std::vector<Score> search(bulkhead::Pool& pool, const std::vector<Setting>& settings);

/// Prints the best settings. Returns whether the best is good enough (accuracy above 0.95) and
/// this process, asked again, finds the score that a worker found.
bool report_search(const std::vector<Setting>& settings, const std::vector<Score>& scores);

}  // namespace demo
