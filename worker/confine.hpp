// SPDX-License-Identifier: MIT
//
// Puts Limits into force, and a process on its CPU.
#pragma once

#include <bulkhead/limits.hpp>

#include <vector>

namespace bulkhead::detail {

/// For this process and those that it makes, for good. Throws SystemError, which names the limit
/// that the system refuses.
void confine(const Limits& limits);

/// CPUs that this process may use, by number.
[[nodiscard]] std::vector<int> allowed_cpus();
/// This process stays on that one. Throws SystemError.
void stay_on(int cpu);

}  // namespace bulkhead::detail
