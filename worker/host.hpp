// SPDX-License-Identifier: MIT
//
// What can be asked about the process and the machine we are in.
#pragma once

namespace bulkhead::detail {

/// CPUs that this process may use: affinity mask and cgroup quota (rounded up) respected; at
/// least 1.
[[nodiscard]] int usable_cpus();

/// Threads of this process, without those that a sanitizer's runtime has started.
[[nodiscard]] int thread_count();

}  // namespace bulkhead::detail
