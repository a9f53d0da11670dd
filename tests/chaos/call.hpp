// SPDX-License-Identifier: MIT
//
// Calls of a pool, and what came of them, in a form that does not depend on the type of the
// results.
#pragma once

#include "tests/chaos/plan.hpp"
#include <bulkhead/failure.hpp>
#include <bulkhead/pool.hpp>

#include <chrono>
#include <cstdint>
#include <optional>
#include <random>
#include <string>
#include <vector>

namespace bulkhead::chaos {

using Random = std::mt19937_64;

struct CallSpec {
  std::uint64_t number = 0;  ///< in this run of the program
  std::uint32_t tasks = 0;
  bool large = false;        ///< arguments and results
  bool all_or_none = false;  ///< map(), not try_map()
  std::optional<std::chrono::nanoseconds> timeout;
  /// Attempts that begin, anywhere, until a stop is requested.
  std::optional<std::uint32_t> stop_after;
  Retries retries;

  [[nodiscard]] Task task(std::uint32_t index) const {
    return {number, index, timeout || stop_after ? 1U : 0U};
  }
};

/// A call of a random kind.
[[nodiscard]] CallSpec draw_call(Random& random, std::uint64_t number);

/// How a task has ended.
struct Ending {
  std::optional<Failure> failure;
  Answer answer;            ///< if there is no failure
  bool is_damaged = false;  ///< the text beside the answer is wrong
};

struct CallReport {
  CallSpec spec;
  std::vector<Ending> endings;    ///< of each task, if the call has returned
  std::optional<Failure> thrown;  ///< by map()
  std::string refusal;            ///< what else it threw: the pool was closed, or broken
};

/// Runs it to its end.
[[nodiscard]] CallReport run_call(Pool& pool, const CallSpec& spec);

}  // namespace bulkhead::chaos
