// SPDX-License-Identifier: MIT
#include "runtime/restarts.hpp"

#include <algorithm>

namespace bulkhead::detail {

void Restarts::succeeded() {
  not_before_ = {};
  start_deaths_ = 0;
  refusals_ = refused_alone_ = 0;
}

void Restarts::refused(Time now, bool alone) {
  if (now < not_before_) return;  // asked for before the last refusal was known
  not_before_ = now + kFirstPause * (1 << std::min(refusals_, kMostDoublings));
  ++refusals_;
  if (alone) ++refused_alone_;
}

}  // namespace bulkhead::detail
