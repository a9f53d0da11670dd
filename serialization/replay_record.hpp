// SPDX-License-Identifier: MIT
//
// ReplayRecord: a task that has failed, as the bytes of a file from which it can be run again.
//
//   file       := magic version:u32 head argument check:u64
//   magic      := "bulkhead replay\n"
//   head       := task:u64 attempt:i32 failure:text program:text module:text definition
//   definition := payload of a `define` frame, as a vector of bytes (see README.md)
//   argument   := all bytes up to the check, which is that of all bytes before it
#pragma once

#include <bulkhead/bytes.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace bulkhead::detail {

struct ReplayRecord {
  std::uint64_t task = 0;  ///< index of the element in its call
  std::int32_t attempt = 1;
  std::string failure;                ///< Failure::what()
  std::string program;                ///< path of the program that ran it
  std::string module;                 ///< path of the module that has the task's code
  std::vector<std::byte> definition;  ///< of the callable
  std::vector<std::byte> argument;
};

/// Writes all that comes before the argument.
void write_replay_head(const ReplayRecord& record, ByteWriter& out);

/// Reads a whole file. Throws DecodeError, with a sentence that says why, if it is none, or not as
/// it was written.
[[nodiscard]] ReplayRecord read_replay(std::span<const std::byte> file);

}  // namespace bulkhead::detail
