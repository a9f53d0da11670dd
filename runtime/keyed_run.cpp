// SPDX-License-Identifier: MIT
#include <bulkhead/detail/keyed_job.hpp>

#include <chrono>

namespace bulkhead::detail {

KeyedRun run_phases(Engine& engine, const KeyedCallable& map, const KeyedCallable& reduce,
                    const KeyedPlan& plan, PieceSource& source, const CallOptions& options) {
  const auto began = std::chrono::steady_clock::now();
  FunctionToken compression;
  if (plan.compress != nullptr)
    compression = FunctionToken(reinterpret_cast<const void*>(plan.compress));
  RunStore runs(std::make_shared<RunBudget>(plan.run_memory, plan.spill_limit), plan.folders,
                compression);
  KeyedRun run;
  run_map_phase(engine, map, plan, runs, source, options, run.report);
  run.report.mapped.elapsed = std::chrono::steady_clock::now() - began;
  run.store = runs.another();
  run_reduce_phase(engine, reduce, plan, runs, *run.store,
                   std::size_t{1} << plan.terms.partition_bits, options, run.report);
  run.report.runs.clear();
  run.report.stats.spilled_bytes = runs.bytes_on_disk() + run.store->bytes_on_disk();
  run.report.stats.elapsed = std::chrono::steady_clock::now() - began;
  return run;
}

}  // namespace bulkhead::detail
