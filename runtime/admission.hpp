// SPDX-License-Identifier: MIT
//
// Who may use a pool, and when: what both engines ask before they do anything.
#pragma once

#include <cstdint>
#include <string>
#include <sys/types.h>

namespace bulkhead::detail {

enum class PoolState : std::uint8_t { open, closed, terminated, broken };

/// True in the process that made the pool.
[[nodiscard]] bool is_owner(pid_t owner);
/// Throws PoolClosed unless this is the process that made the pool.
void require_owner(pid_t owner);
/// Throws PoolClosed, or BrokenPool with the cause, unless the pool takes calls.
void require_open(PoolState state, const std::string& cause);
/// Throws Error if this thread is in a call of the pool, whose end it wants to wait for by `what`.
void require_outside(const std::string& what, bool calling);
/// Throws Error if the pool is open: to join it would wait for ever.
void require_ending(PoolState state);
/// Throws Error.
[[noreturn]] void refuse_use_by_own_call();

}  // namespace bulkhead::detail
