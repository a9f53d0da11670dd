// SPDX-License-Identifier: MIT
//
// SIGCHLD as a descriptor to poll: for the loops of the zygote and of the fork server.
#pragma once

#include "worker/descriptor.hpp"

namespace bulkhead::detail {

/// One in a process, of one thread; no other signal is blocked from then on. Ends the
/// process if the system refuses.
class ChildSignals {
 public:
  ChildSignals();

  /// Readable when a child may have ended since the last clear().
  [[nodiscard]] int fd() const { return fd_.get(); }
  void clear();

 private:
  Descriptor fd_;
};

}  // namespace bulkhead::detail
