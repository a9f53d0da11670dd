// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace bulkhead {

/// What a keyed job has done.
struct KeyedStats {
  std::uint64_t pieces = 0;         ///< of input: parts of a text, files, elements of a range
  std::uint64_t skipped = 0;        ///< of them, as they failed
  std::uint64_t input_bytes = 0;    ///< of files; of a range, of its elements as they travel
  std::uint64_t emitted = 0;        ///< pairs
  std::uint64_t sealed = 0;         ///< of those, after workers have combined them
  std::uint64_t keys = 0;           ///< different ones
  std::uint64_t partitions = 0;     ///< of the keys: each was reduced by one worker
  std::uint64_t runs = 0;           ///< what workers made of a part of the input at a time
  std::uint64_t run_bytes = 0;      ///< of runs
  std::uint64_t spilled_bytes = 0;  ///< of runs and result, on disks
  std::uint64_t peak_bytes = 0;     ///< of memory for tables, runs and the result, all together
  std::uint64_t retried = 0;        ///< pieces and partitions that were begun once more
  std::chrono::nanoseconds elapsed{};

  /// In one line, for people.
  [[nodiscard]] std::string summary() const;
};

}  // namespace bulkhead
