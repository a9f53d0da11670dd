// SPDX-License-Identifier: MIT
// What this process and all below it use, from /proc.

#pragma once

#include <cstdint>
#include <string>
#include <unistd.h>
#include <vector>

namespace bench {

/// This process, first, and its descendants.
std::vector<pid_t> process_tree();

/// Nanoseconds of CPU that a process has used so far; in another one, its threads alive now.
std::int64_t cpu_nanoseconds(pid_t process);

/// Resident bytes of this process.
std::int64_t resident_bytes();

/// Bytes of memory of process_tree(); a page that n of them share counts 1/n in each.
std::int64_t tree_memory_bytes();

}  // namespace bench
