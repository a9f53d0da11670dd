// SPDX-License-Identifier: MIT
//
// Section 3 of the demo: the search again, with three bad settings among the good ones. Two kill
// the worker that runs them, one throws. All other scores must arrive and be those of section 2.

#pragma once

#include "search.hpp"
#include <bulkhead/pool.hpp>

#include <cstdint>
#include <vector>

namespace demo {

enum class Poison : std::uint8_t { none, null_pointer, abort, bad_ridge };

/// A setting, and what is wrong with it.
struct Trial {
  Setting setting;
  Poison poison = Poison::none;

  template <class Archive>
  void serialize(Archive& archive) {
    archive(setting, poison);
  }
};

/// The settings in their order with one trial of each poison planted between them.
std::vector<Trial> plant_poison(const std::vector<Setting>& settings);

/// The task: evaluate(), or the accident that the poison stands for.
Score evaluate_trial(const Trial& trial);

/// Runs the poisoned search and prints its failures. Returns whether exactly the planted trials
/// failed, each in its own way, and all others have the scores given in `expected`.
bool run_poisoned_search(bulkhead::Pool& pool, const std::vector<Setting>& settings,
                         const std::vector<Score>& expected);

}  // namespace demo
