// SPDX-License-Identifier: MIT
//
// Puts Limits into force, and a process on its CPU.
#pragma once

#include <bulkhead/limits.hpp>

namespace bulkhead::detail {

/// For this process and those that it makes, for good. Throws SystemError, which names the limit
/// that the system refuses.
void confine(const Limits& limits);

/// The badness of this process for the kernel's out-of-memory killer, -1000 to 1000. False, with
/// errno, if the system refuses.
bool set_oom_score(int score);

/// This process stays on that one. Throws SystemError.
void stay_on(int cpu);

}  // namespace bulkhead::detail
