// SPDX-License-Identifier: MIT
#include "worker/fence.hpp"

#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace bulkhead::detail {
namespace {

long membarrier(int command) {
  return ::syscall(SYS_membarrier, command, 0U, 0);
}

}  // namespace

Fences best_fences() {
  constexpr long kNeeded =
      MEMBARRIER_CMD_GLOBAL_EXPEDITED | MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED;
  const long able = membarrier(MEMBARRIER_CMD_QUERY);
  return able >= 0 && (able & kNeeded) == kNeeded ? Fences::unequal : Fences::equal;
}

bool begin_light_fences(Fences fences) {
  return fences == Fences::equal || membarrier(MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED) == 0;
}

bool heavy_fence(Fences fences) {
  std::atomic_thread_fence(std::memory_order_seq_cst);
  return fences == Fences::equal || membarrier(MEMBARRIER_CMD_GLOBAL_EXPEDITED) == 0;
}

}  // namespace bulkhead::detail
