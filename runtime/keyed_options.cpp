// SPDX-License-Identifier: MIT
#include "runtime/options.hpp"
#include "worker/host.hpp"
#include <bulkhead/by_key.hpp>
#include <bulkhead/error.hpp>

#include <algorithm>
#include <filesystem>
#include <string>
#include <system_error>

namespace bulkhead::detail {
namespace {

/// A worker's tables, of either phase, need some of it.
constexpr std::uint64_t kLeastMemory = std::uint64_t{1} << 20;
constexpr std::uint64_t kMostMemory = std::uint64_t{1} << 46;
constexpr std::uint64_t kNoLimit = ~std::uint64_t{0};
/// Bytes that a worker has beside tables.
constexpr std::uint64_t kBuffers = std::uint64_t{8} << 20;

void check_folders(const std::vector<std::string>& folders) {
  if (folders.size() >= kRunFiles)
    throw InvalidArgument("bulkhead: KeyedOptions::spill has " + std::to_string(folders.size()) +
                          " folders; it must have " + std::to_string(kRunFiles - 1) +
                          " at the most");
  std::error_code error;
  for (const std::string& folder : folders) {
    if (!std::filesystem::is_directory(folder, error))
      throw InvalidArgument("bulkhead: KeyedOptions::spill: there is no folder " + folder);
  }
}

}  // namespace

void check(const KeyedOptions& options) {
  if (options.memory && *options.memory < kLeastMemory) {
    throw InvalidArgument("bulkhead: KeyedOptions::memory is " + std::to_string(*options.memory) +
                          " bytes; it must be " + std::to_string(kLeastMemory) + " or more");
  }
  if (options.memory && *options.memory > kMostMemory) {
    throw InvalidArgument("bulkhead: KeyedOptions::memory is " + std::to_string(*options.memory) +
                          " bytes, more than any machine has: a negative or overflown number? "
                          "Write std::uint64_t{2} << 30 for 2 GiB");
  }
  if (options.commit_interval == 0)
    throw InvalidArgument("bulkhead: KeyedOptions::commit_interval is 0; it must be 1 or more");
  require_sensible(options.retries);
  check_folders(options.spill);
}

KeyedPlan plan_of(const KeyedOptions& options, const Engine& engine) {
  const auto workers = static_cast<std::uint64_t>(engine.workers());
  const std::uint64_t of_worker = std::min(engine.worker_memory().value_or(kNoLimit), data_left());
  const std::uint64_t of_workers = of_worker > kNoLimit / workers ? kNoLimit : of_worker * workers;
  KeyedPlan plan;
  plan.memory =
      options.memory.value_or(std::max(std::min(memory_left() / 4, of_workers / 2), kLeastMemory));
  plan.folders = options.spill;
  if (options.spill_limit) plan.spill_limit = *options.spill_limit;
  plan.compress = options.compress;
  plan.skips_failed = options.skip_failed;
  // Five eighths for tables of either phase, and of that a quarter for long keys; the rest is for
  // runs and the result. A worker that may have little needs some of it for buffers, and has the
  // tables of both phases for a moment.
  const std::uint64_t for_tables = of_worker / 4 - std::min(of_worker / 8, kBuffers / 4);
  plan.run_memory = plan.memory / 8 * 3;
  const std::uint64_t each = std::min((plan.memory - plan.run_memory) / workers, for_tables);
  plan.steady_memory = options.memory.value_or(kNoLimit);
  plan.most_of_tables = for_tables;
  plan.terms.table_bytes = each / 4 * 3;
  plan.terms.key_bytes = each / 4;
  plan.terms.commit_bytes = options.commit_interval;
  return plan;
}

CallOptions call_options(const KeyedOptions& options) {
  CallOptions call = options.call;
  Retries& retries = call.retries;
  retries.exceptions = std::max(retries.exceptions, options.retries.exceptions);
  retries.crashes = std::max(retries.crashes, options.retries.crashes);
  retries.timeouts = std::max(retries.timeouts, options.retries.timeouts);
  retries.out_of_memory = std::max(retries.out_of_memory, options.retries.out_of_memory);
  retries.pause = std::max(retries.pause, options.retries.pause);
  return call;
}

}  // namespace bulkhead::detail
