// SPDX-License-Identifier: MIT
//
// The audit: whether what the calls have returned agrees with what the tasks have written down, and
// both with the plan.
#pragma once

#include "tests/chaos/ledger.hpp"
#include "tests/chaos/round.hpp"

#include <array>
#include <cstdint>
#include <string>
#include <vector>

namespace bulkhead::chaos {

/// What has happened, in numbers.
struct Totals {
  std::uint64_t pools = 0;
  std::uint64_t broken_pools = 0;
  std::uint64_t terminated_pools = 0;
  std::uint64_t calls = 0;
  std::uint64_t refused_calls = 0;  ///< by a pool that was closed or broken before they began
  std::uint64_t tasks = 0;          ///< those of refused calls not included
  std::uint64_t attempts = 0;       ///< that began
  std::uint64_t retried = 0;        ///< attempts after the first
  std::uint64_t values = 0;
  std::array<std::uint64_t, 6> failures{};  ///< by FailureKind
  std::uint64_t kills = 0;
  std::uint64_t stops = 0;
  std::uint64_t orphans = 0;  ///< not counted by the audit
  std::uint64_t mismatches = 0;
};

/// Adds a round to the totals; returns what does not agree, a sentence each.
[[nodiscard]] std::vector<std::string> audit(const RoundReport& round,
                                             const std::vector<Record>& ledger, Totals& totals);

}  // namespace bulkhead::chaos
