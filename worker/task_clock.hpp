// SPDX-License-Identifier: MIT
//
// What a worker knows of its present task's time, for bulkhead::this_task. One per process.
#pragma once

#include "worker/memory.hpp"

#include <chrono>

namespace bulkhead::detail {

/// From now on this process is a worker that counts its tasks in `words`.
void begin_task_clock(const OutboxWords& words);
/// Tasks that begin from now on have this limit; zero: none.
void set_task_limit(std::chrono::nanoseconds limit);
/// SIGTERM has come. True if the present task has asked for stops, and will be told; else it is to
/// die of the signal. Async-signal-safe.
[[nodiscard]] bool tell_of_stop() noexcept;

}  // namespace bulkhead::detail
