// SPDX-License-Identifier: MIT
//
// A zygote that is this process's program started anew, and so shares no memory with it. The
// program must come to serve_if_spawned() before it does anything.
#pragma once

#include "worker/launch.hpp"

namespace bulkhead::detail {

/// Starts it, with the present environment and directory but no arguments, and waits until it
/// obeys. Throws SystemError, Error if the program has done anything else, and what a hook's codec
/// throws.
[[nodiscard]] NewZygote spawn_zygote(const WorkerSetup& setup, const Doorbell& doorbell);

/// In a process that was started so, never returns; neither if the host has ended meanwhile.
/// `forward_logs` is for the workers.
void serve_if_spawned(ForwardLogs forward_logs);

/// True in a process that was started so, or a fork of it, before it has come there.
[[nodiscard]] bool is_summoned();

}  // namespace bulkhead::detail
