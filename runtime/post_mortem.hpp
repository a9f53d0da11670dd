// SPDX-License-Identifier: MIT
//
// From the facts of a worker's death to the words of a failure.
#pragma once

#include "worker/control.hpp"
#include "worker/crash.hpp"
#include <bulkhead/failure.hpp>
#include <bulkhead/limits.hpp>

#include <optional>
#include <string>

namespace bulkhead::detail {

/// "SIGSEGV" for 11; "signal 70" for what has no name.
[[nodiscard]] std::string signal_name(int signal);

/// What ended a worker, in a few words, never guessing beyond the evidence: "SIGSEGV at address
/// 0x0", "exited with code 0 before it answered", "killed by SIGKILL ...".
[[nodiscard]] std::string cause_of_death(const ControlMessage& death,
                                         const std::optional<CrashReport>& report);

/// The failure of the task that was running; its number is still to be filled in.
[[nodiscard]] FailureDetails crash_details(const ControlMessage& death,
                                           const std::optional<CrashReport>& report);

/// Of a worker that the kernel has killed as its cgroup's memory did not suffice.
[[nodiscard]] std::string out_of_memory_text(const Limits& limits);

}  // namespace bulkhead::detail
