// SPDX-License-Identifier: MIT
//
// The full fence that both sides of a Dekker protocol need, shared out unequally. The worker passes
// its side before every task, the coordinator its own before it sleeps or takes tasks back. Where
// the kernel can make a barrier happen in other processes (membarrier(2), global expedited, Linux
// 4.16), the worker's half costs nothing and the coordinator's a system call; elsewhere both are
// ordinary fences. Both sides must have been told the same.
#pragma once

#include <atomic>

namespace bulkhead::detail {

enum class Fences : bool { equal, unequal };

/// What this kernel, and a filter of system calls if there is one, allow.
[[nodiscard]] Fences best_fences();
/// Makes this process one whose light fences count. False if the kernel refuses.
[[nodiscard]] bool begin_light_fences(Fences fences);

/// For the side that passes often, in a process that has called begin_light_fences().
inline void light_fence(Fences fences) {
  if (fences == Fences::unequal) {
    std::atomic_signal_fence(std::memory_order_seq_cst);
  } else {
    std::atomic_thread_fence(std::memory_order_seq_cst);
  }
}

/// For the side that passes seldom. False if it was none for the other side (the kernel has changed
/// its mind: a filter of system calls, say): what was read after it proves nothing.
[[nodiscard]] bool heavy_fence(Fences fences);

}  // namespace bulkhead::detail
