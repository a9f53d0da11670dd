// SPDX-License-Identifier: MIT
//
// The zygote's side of zygote.hpp: a loop that forks workers, passes signals on, reaps, and
// reports, until the coordinator ends or says so.
#pragma once

#include "worker/serve.hpp"

namespace bulkhead::detail {

/// The descriptors of a zygote: its own to move and close.
struct ZygoteDescriptors {
  int control;      ///< the socket to the coordinator
  int coordinator;  ///< pidfd
  int doorbell;     ///< the workers ring it
};

/// Turns the calling process, which has one thread and nothing to lose, into a zygote.
[[noreturn]] void run_zygote(const WorkerSetup& setup, ZygoteDescriptors fds) noexcept;

}  // namespace bulkhead::detail
