// SPDX-License-Identifier: MIT
//
// The fork server: a fork of the host with one thread, made before the host has started others,
// from which zygotes are forked later, whatever threads the host has by then. It runs nothing else,
// and ends when the host does.
#pragma once

#include "worker/launch.hpp"

namespace bulkhead::detail {

/// The host's handle on it. Any thread.
class ForkServer {
 public:
  /// Forks it. `forward_logs` is for workers. Throws SystemError.
  explicit ForkServer(ForwardLogs forward_logs);

  /// Throws SystemError, Error, and what a hook's codec throws.
  [[nodiscard]] NewZygote launch(const WorkerSetup& setup, const Doorbell& doorbell) const;
  /// It was killed.
  [[nodiscard]] bool has_ended() const;

 private:
  Descriptor control_;
  Descriptor pidfd_;
};

}  // namespace bulkhead::detail
