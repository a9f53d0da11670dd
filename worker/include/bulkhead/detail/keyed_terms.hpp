// SPDX-License-Identifier: MIT
//
// What the tasks of a keyed job are told beside their part of it.
#pragma once

#include <bulkhead/detail/run_files.hpp>

#include <cstdint>

namespace bulkhead::detail {

/// How a job divides its memory and its keys.
struct KeyedTerms {
  RunTicket ticket;
  RunFile file = RunFile::in_memory;  ///< for what comes of the task
  std::int32_t partition_bits = 6;
  std::uint64_t table_bytes = 0;   ///< of slots, in each worker
  std::uint64_t key_bytes = 0;     ///< of long keys, likewise
  std::uint64_t commit_bytes = 0;  ///< of input: a block has about so many
};

}  // namespace bulkhead::detail
