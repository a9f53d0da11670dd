// SPDX-License-Identifier: MIT
//
// The two phases of a keyed job, without their types. In the first, tasks are blocks of pieces of
// the input, of each of which a worker makes runs; a block's runs count once it is answered, so
// that a block which is run again has left nothing. In the second, tasks are partitions: the slices
// that all runs have of one become a part of the result.
#pragma once

#include <bulkhead/detail/job.hpp>
#include <bulkhead/detail/keyed_terms.hpp>
#include <bulkhead/detail/run_store.hpp>
#include <bulkhead/failure.hpp>
#include <bulkhead/keyed_stats.hpp>
#include <bulkhead/options.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace bulkhead::detail {

/// A part of the input: one element, or some that lie one behind the other. What a mapper makes of
/// an element is lost with it, if it fails, and nothing else.
struct Piece {
  std::vector<std::byte> argument{};  ///< encoded elements
  std::vector<std::uint64_t> ends{};  ///< where each of them ends; empty: it is one
  std::uint64_t weight = 0;           ///< bytes of input
  std::string name{};                 ///< for failures: a file and the bytes of it; or empty
  [[nodiscard]] std::uint64_t size() const { return ends.empty() ? 1 : ends.size(); }
};

/// Where pieces come from.
class PieceSource {
 public:
  PieceSource() = default;
  PieceSource(const PieceSource&) = delete;
  PieceSource& operator=(const PieceSource&) = delete;
  virtual ~PieceSource() = default;
  /// The next one; nothing: that was the last. May throw.
  virtual std::optional<Piece> next() = 0;
  /// Bytes of all of them, if that is known.
  [[nodiscard]] virtual std::optional<std::uint64_t> weight() const { return std::nullopt; }
};

/// What a worker is to run: see Job.
struct KeyedCallable {
  Describe describe = nullptr;
  bool has_state = false;
  std::function<void(ByteWriter&)> encode_state;
  const char* step = "";  ///< for failures
};

/// A run of a block: what it has of each partition.
struct SealedRun {
  std::uint64_t first = 0;  ///< piece of the block
  std::vector<Slice> slices;
};

/// What has been done of a job.
struct KeyedReport {
  std::vector<SealedRun> runs;                 ///< in the order of the input
  std::vector<std::vector<Slice>> partitions;  ///< of the result
  Counters counters;
  std::vector<Failure> skipped;
  KeyedStats stats;
  Progress mapped;  ///< at the end of the first phase
};

/// How a job is to be run, beside its options for calls.
struct KeyedPlan {
  KeyedTerms terms;
  std::uint64_t memory = 0;      ///< bytes, for all
  std::uint64_t run_memory = 0;  ///< of these, for runs and the result
  /// The same where it shows in the result: as the user has said it.
  std::uint64_t steady_memory = ~std::uint64_t{0};
  std::uint64_t most_of_tables = ~std::uint64_t{0};  ///< bytes, in each worker
  std::vector<std::string> folders;
  std::uint64_t spill_limit = ~std::uint64_t{0};
  CompressionMethod compress = nullptr;  ///< on disks; null: not at all
  bool is_exact = false;                 ///< the result is the same wherever the input is divided
  bool skips_failed = false;
};

/// Runs the first phase. Throws what the source throws; the first failure, if none is skipped; and
/// SystemError if runs cannot be kept.
void run_map_phase(Engine& engine, const KeyedCallable& callable, const KeyedPlan& plan,
                   RunStore& store, PieceSource& source, const CallOptions& options,
                   KeyedReport& report);
/// Runs the second, from the runs to the result, which is in so many partitions. Throws a failure,
/// or SystemError.
void run_reduce_phase(Engine& engine, const KeyedCallable& callable, const KeyedPlan& plan,
                      RunStore& runs, RunStore& result, std::size_t partitions,
                      const CallOptions& options, KeyedReport& report);

struct SortedSlices {
  std::shared_ptr<RunStore> store;
  std::vector<Slice> slices;
};
/// Slices of a result, each sorted. Nothing: the pool is gone, or closed. Throws a failure, or
/// SystemError.
[[nodiscard]] std::optional<SortedSlices> sort_by_workers(const std::shared_ptr<Engine>& engine,
                                                          const KeyedCallable& callable,
                                                          const KeyedPlan& plan, RunStore& result,
                                                          const std::vector<Slice>& slices);

struct KeyedRun {
  std::shared_ptr<RunStore> store;  ///< of the result
  KeyedReport report;
};
/// Both. The same.
[[nodiscard]] KeyedRun run_phases(Engine& engine, const KeyedCallable& map,
                                  const KeyedCallable& reduce, const KeyedPlan& plan,
                                  PieceSource& source, const CallOptions& options);

}  // namespace bulkhead::detail
