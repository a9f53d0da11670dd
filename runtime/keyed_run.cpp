// SPDX-License-Identifier: MIT
#include <bulkhead/detail/keyed_job.hpp>

#include <chrono>

namespace bulkhead::detail {

KeyedRun run_phases(Engine& engine, const KeyedCallable& map, const KeyedCallable& reduce,
                    const KeyedPlan& plan, PieceSource& source, const CallOptions& map_options,
                    const CallOptions& reduce_options) {
  const auto began = std::chrono::steady_clock::now();
  KeyedRun run{std::make_shared<RunStore>(plan.memory / 2, plan.folders, plan.spill_limit), {}};
  run_map_phase(engine, map, plan, *run.store, source, map_options, run.report);
  run_reduce_phase(engine, reduce, plan, *run.store, reduce_options, run.report);
  run.report.runs.clear();
  run.report.stats.spilled_bytes = run.store->bytes_on_disk();
  run.report.stats.elapsed = std::chrono::steady_clock::now() - began;
  return run;
}

}  // namespace bulkhead::detail
