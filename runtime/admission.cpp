// SPDX-License-Identifier: MIT
#include "runtime/admission.hpp"

#include "worker/host.hpp"
#include <bulkhead/error.hpp>

namespace bulkhead::detail {

bool is_owner(pid_t owner) {
  return own_pid() == owner;
}

void require_owner(pid_t owner) {
  if (is_owner(owner)) return;
  throw PoolClosed(
      "bulkhead: this pool belongs to process " + std::to_string(owner) +
      " and cannot be used in process " + std::to_string(own_pid()) +
      ", a fork of it (a task that uses its own pool runs in one); make a new Pool there");
}

void require_open(PoolState state, const std::string& cause) {
  switch (state) {
    case PoolState::open:
      return;
    case PoolState::closed:
      throw PoolClosed("bulkhead: the pool is closed and takes no more calls; make a new Pool");
    case PoolState::terminated:
      throw PoolClosed("bulkhead: the pool was terminated; make a new Pool");
    case PoolState::broken:
      throw BrokenPool(cause);
  }
}

void require_outside(const std::string& what, bool calling) {
  if (!calling) return;
  throw Error("bulkhead: " + what +
              "() from within a call of the same thread, or beside a stream that it has not read "
              "to its end, would wait for itself: drop the stream before");
}

void require_ending(PoolState state) {
  if (state == PoolState::open)
    throw Error(
        "bulkhead: join() before close() or terminate() would wait for ever; call close() first");
}

void refuse_use_by_own_call() {
  throw Error(
      "bulkhead: the pool was used by the range, or by the coding of an element or a result, of "
      "a call that it is just serving; let the range be finished before the call");
}

}  // namespace bulkhead::detail
