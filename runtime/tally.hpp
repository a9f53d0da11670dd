// SPDX-License-Identifier: MIT
//
// Tally: how many tasks have ended, and how. Each job has its own, and the engine those of the jobs
// that are over. Plain state; one thread at a time.
#pragma once

#include <bulkhead/failure.hpp>
#include <bulkhead/stats.hpp>

#include <cstdint>

namespace bulkhead::detail {

struct Tally {
  Stats::Outcomes outcomes;
  std::uint64_t retried = 0;

  [[nodiscard]] std::uint64_t& of(FailureKind kind) {
    switch (kind) {
      case FailureKind::exception:
        return outcomes.exception;
      case FailureKind::crashed:
        return outcomes.crashed;
      case FailureKind::timed_out:
        return outcomes.timed_out;
      case FailureKind::out_of_memory:
        return outcomes.out_of_memory;
      case FailureKind::cancelled:
        return outcomes.cancelled;
      case FailureKind::not_run:
        break;
    }
    return outcomes.not_run;
  }

  Tally& operator+=(const Tally& other) {
    outcomes.value += other.outcomes.value;
    outcomes.exception += other.outcomes.exception;
    outcomes.crashed += other.outcomes.crashed;
    outcomes.timed_out += other.outcomes.timed_out;
    outcomes.out_of_memory += other.outcomes.out_of_memory;
    outcomes.cancelled += other.outcomes.cancelled;
    outcomes.not_run += other.outcomes.not_run;
    retried += other.retried;
    return *this;
  }
};

/// What a call is called in figures and traces.
struct CallName {
  std::uint64_t number = 0;                    ///< among the calls of its pool, from 1
  std::shared_ptr<const std::string> label{};  ///< null: it has none
};

}  // namespace bulkhead::detail
