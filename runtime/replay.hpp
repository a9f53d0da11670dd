// SPDX-License-Identifier: MIT
//
// Replay that was asked for from outside: see <bulkhead/replay.hpp>.
#pragma once

#include <bulkhead/options.hpp>

namespace bulkhead::detail {

/// If BULKHEAD_REPLAY is set, runs the task of that file as a pool with these options would, and
/// ends the process. Returns in a task that is run so.
void replay_if_asked(const Options& options);

}  // namespace bulkhead::detail
