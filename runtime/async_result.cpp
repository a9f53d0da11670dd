// SPDX-License-Identifier: MIT
#include "runtime/time.hpp"
#include <bulkhead/async_result.hpp>

namespace bulkhead::detail {

void throw_not_ready(std::optional<std::chrono::nanoseconds> timeout) {
  const std::string when = timeout ? "after " + to_text(*timeout) : "yet";
  throw NotReady("bulkhead: the result is not there " + when +
                 "; the call goes on (wait longer, or cancel() it)");
}

void throw_taken() {
  throw Error(
      "bulkhead: the value of this result has been taken by an earlier get(); keep what that "
      "returned");
}

RunningCall::Time time_from_now(std::chrono::nanoseconds timeout) {
  return later(std::chrono::steady_clock::now(), timeout);
}

}  // namespace bulkhead::detail
