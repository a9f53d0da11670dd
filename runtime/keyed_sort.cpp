// SPDX-License-Identifier: MIT
#include <bulkhead/detail/keyed_job.hpp>
#include <bulkhead/error.hpp>
#include <bulkhead/remote_error.hpp>

#include <cstddef>
#include <utility>

namespace bulkhead::detail {

std::optional<SortedSlices> sort_by_workers(const std::shared_ptr<Engine>& engine,
                                            const KeyedCallable& callable, const KeyedPlan& plan,
                                            RunStore& result, const std::vector<Slice>& slices) {
  if (!engine || engine->is_copy()) return std::nullopt;
  SortedSlices sorted{result.another(), {}};
  KeyedReport report;
  report.runs.push_back({0, slices});
  try {
    run_reduce_phase(*engine, callable, plan, result, *sorted.store, slices.size(),
                     {.retries = {.crashes = 2}}, report);
  } catch (const PoolClosed&) {
    return std::nullopt;
  } catch (const CancelledError&) {  // it is being ended
    return std::nullopt;
  }
  for (const auto& part : report.partitions)
    sorted.slices.insert(sorted.slices.end(), part.begin(), part.end());
  return sorted;
}

}  // namespace bulkhead::detail
