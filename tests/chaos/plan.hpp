// SPDX-License-Identifier: MIT
//
// What every attempt at every task is to do, and what comes out: drawn from the seed of the run, so
// that workers and the audit agree without a word.
#pragma once

#include <cstdint>
#include <string>
#include <utility>

namespace bulkhead::chaos {

enum class Deed : std::uint8_t {
  work,      ///< a few microseconds
  linger,    ///< a few milliseconds
  throw_it,  ///< std::out_of_range, with the signature as its text
  segfault,
  abort,
  kill_itself,
  exit_0,
  exit_3,
  hang,           ///< for ever
  hang_politely,  ///< until it is told to stop; then it returns
};

/// The argument, or a part of it.
struct Task {
  std::uint64_t call = 0;
  std::uint32_t index = 0;
  std::uint32_t may_hang = 0;  ///< the call ends tasks that hang
};

/// The result, or a part of it.
struct Answer {
  std::uint64_t signature = 0;
  std::int32_t attempt = 0;
  std::int32_t pid = 0;
};

using LargeTask = std::pair<Task, std::string>;
using LargeAnswer = std::pair<Answer, std::string>;

/// For this process and its later forks.
void set_seed(std::uint64_t seed);

[[nodiscard]] Deed deed_of(const Task& task, int attempt);
/// True if that attempt ends in a value, unless something happens to its worker.
[[nodiscard]] bool returns(Deed deed);
[[nodiscard]] std::uint64_t signature_of(const Task& task, int attempt);
/// Some bytes mostly, sometimes a megabyte or more.
[[nodiscard]] std::string argument_text(const Task& task);
[[nodiscard]] std::string result_text(const Task& task, int attempt);

// The functions that pools are asked to run.
Answer answer(const Task& task);
LargeAnswer answer_at_length(const LargeTask& task);

}  // namespace bulkhead::chaos
