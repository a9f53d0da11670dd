// SPDX-License-Identifier: MIT
//
// One round: a pool from its beginning to its end, the threads that call it, and what came of that.
#pragma once

#include "tests/chaos/call.hpp"

#include <cstdint>
#include <filesystem>
#include <vector>

namespace bulkhead::chaos {

struct RoundReport {
  std::vector<CallReport> calls;
  std::uint64_t kills = 0;
  std::uint64_t stops = 0;
  bool terminated = false;  ///< while calls ran, perhaps
};

/// Runs one in which the workers write to `ledger`. This process has no other threads before, nor
/// after. `next_call` is the number of the first call, and that after the last one.
[[nodiscard]] RoundReport run_round(Random& random, const std::filesystem::path& ledger,
                                    std::uint64_t& next_call);

}  // namespace bulkhead::chaos
