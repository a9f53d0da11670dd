// SPDX-License-Identifier: MIT
#include "runtime/restarts.hpp"

#include <algorithm>

namespace bulkhead::detail {

void Restarts::succeeded() {
  not_before_ = {};
  start_deaths_ = 0;
  refusals_ = 0;
}

void Restarts::refused(Time now) {
  if (now < not_before_) return;  // asked for before the last refusal was known
  not_before_ = now + kFirstPause * (1 << std::min(refusals_, kMostDoublings));
  ++refusals_;
}

}  // namespace bulkhead::detail
