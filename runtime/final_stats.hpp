// SPDX-License-Identifier: MIT
//
// The figures that a pool leaves behind, for those who read them and outlive it.
#pragma once

#include <bulkhead/detail/job.hpp>
#include <bulkhead/stats.hpp>

#include <mutex>

namespace bulkhead {

struct StatsReader::Final {
  /// Before the engine is let go of.
  void take(detail::Engine& engine) noexcept {
    try {
      Stats all = engine.stats();
      const std::lock_guard lock(mutex);
      last = std::move(all);
    } catch (...) {  // NOLINT(bugprone-empty-catch): out of memory; there are none then
    }
  }

  std::mutex mutex;
  Stats last;
};

}  // namespace bulkhead
