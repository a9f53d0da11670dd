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
#include <bulkhead/options.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace bulkhead::detail {

/// A part of the input that is not divided further.
struct Piece {
  std::vector<std::byte> argument;  ///< encoded
  std::uint64_t weight = 0;         ///< bytes of input
  std::string name;                 ///< for failures: a file and the bytes of it; or empty
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
};

/// A run of a block: what it has of each partition.
struct SealedRun {
  std::uint64_t first = 0;  ///< piece of the block
  std::vector<Slice> slices;
};

/// What the input has become.
struct MapReport {
  std::vector<SealedRun> runs;  ///< in the order of the pieces
  std::uint64_t pieces = 0;
  std::uint64_t bytes = 0;
  std::uint64_t emitted = 0;  ///< pairs
};

/// Runs the first phase. Throws what the source throws, and the first failure of a piece.
[[nodiscard]] MapReport run_map_phase(Engine& engine, const KeyedCallable& callable,
                                      const KeyedTerms& terms, RunStore& store, PieceSource& source,
                                      const CallOptions& options);

/// Runs the second: the slices of the result, by partition. Throws a failure.
[[nodiscard]] std::vector<std::vector<Slice>> run_reduce_phase(
    Engine& engine, const KeyedCallable& callable, const KeyedTerms& terms, RunStore& store,
    const std::vector<SealedRun>& runs, const CallOptions& options);

}  // namespace bulkhead::detail
