// SPDX-License-Identifier: MIT
//
// What the tasks of a keyed job are told beside their part of it, and what their answers are.
#pragma once

#include <bulkhead/codec.hpp>
#include <bulkhead/detail/run_files.hpp>
#include <bulkhead/error.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace bulkhead::detail {

/// How a job divides its memory and its keys.
struct KeyedTerms {
  RunTicket ticket;  ///< of what is to be written
  std::int32_t partition_bits = 6;
  std::uint64_t table_bytes = 0;   ///< of slots, in each worker
  std::uint64_t key_bytes = 0;     ///< of long keys, likewise
  std::uint64_t commit_bytes = 0;  ///< of input: a block has about so many

  /// Where values are not combined, of lists of them, in each worker: what is packed of them at a
  /// time may be as much again. They do not get shorter by being together, so more would only be
  /// new to the caches.
  [[nodiscard]] std::size_t list_bytes() const {
    constexpr std::uint64_t kMost = std::uint64_t{128} << 20;
    return static_cast<std::size_t>(std::min((table_bytes + key_bytes) / 5 * 2, kMost));
  }
};

/// What an answer begins with. `refused`: a run could not be written to a file. What follows is
/// RunTicket::job, that file (RunFile), the error's number (i32), and the step, a text.
enum class AnswerKind : std::uint64_t { done, refused };

/// Behind that, of the first phase: then come the slices of the runs, and Counters.
struct MapAnswer {
  std::uint64_t elements = 0;    ///< that were mapped: the first ones of the block
  std::int64_t nanoseconds = 0;  ///< that took
  std::uint64_t runs = 0;
  std::uint64_t emitted = 0;      ///< pairs
  std::uint64_t sealed = 0;       ///< of them, combined
  std::uint64_t table_bytes = 0;  ///< that the worker needed for them
};
/// Of the second: then come the slices of the result.
struct ReduceAnswer {
  std::uint64_t slices = 0;
  std::uint64_t keys = 0;
  std::uint64_t table_bytes = 0;
};

/// What the user's mappers have counted, by names of theirs.
using Counters = std::map<std::string, std::uint64_t>;

[[noreturn]] inline void refuse_large_pair(std::size_t bytes) {
  throw Error("bulkhead: a key and a value of " + std::to_string(bytes) +
              " bytes are too large for the memory of a keyed job: raise KeyedOptions::memory");
}

inline void put_slices(const std::vector<Slice>& slices, ByteWriter& out) {
  out.write(slices.data(), slices.size() * sizeof(Slice));
}
inline void put_refusal(const RunError& error, ByteWriter& out) {
  out.put(AnswerKind::refused);
  out.put(error.job());
  out.put(error.file());
  out.put(static_cast<std::int32_t>(error.error_number()));
  Codec<std::string>::encode(error.step(), out);
}

}  // namespace bulkhead::detail
