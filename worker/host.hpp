// SPDX-License-Identifier: MIT
//
// What can be asked about the process and the machine we are in, and how a process knows itself
// from its forks.
#pragma once

#include <cstdint>
#include <string>
#include <sys/types.h>
#include <vector>

namespace bulkhead::detail {

/// A page of zeros that the kernel fills with zeros again in every fork of this process, by
/// whatever means it is made. Null if that cannot be had. Stays for good.
[[nodiscard]] void* map_page_wiped_by_fork();

/// getpid() without a system call, from the second call in a process on. Right in forks too, by
/// whatever means they were made.
[[nodiscard]] pid_t own_pid();

/// Bytes of private memory that this process may write to, touched or not: what RLIMIT_DATA counts.
[[nodiscard]] std::uint64_t data_bytes();

/// Bytes of memory that process `pid` has, its share of what others have too; 0 if there is no such
/// process.
[[nodiscard]] std::uint64_t resident_bytes(pid_t pid);

/// The CPUs of this process's affinity mask, by number; empty if the system does not tell.
[[nodiscard]] std::vector<int> allowed_cpus();

/// How many CPUs this process may use: affinity mask and cgroup quota (rounded up) respected; at
/// least 1.
[[nodiscard]] int usable_cpus();

/// Bytes that this machine, or this process's cgroup, has left.
[[nodiscard]] std::uint64_t memory_left();
/// Bytes that this process, and each that it starts, may have of its own besides: RLIMIT_DATA and
/// RLIMIT_AS.
[[nodiscard]] std::uint64_t data_left();
/// True if the memory that a fork of process `pid` takes before it runs anything, mostly page
/// tables, is next to nothing beside what the machine and our cgroups have left.
[[nodiscard]] bool has_memory_to_spare(pid_t pid);

/// Threads of this process, without those that a sanitizer's runtime has started.
[[nodiscard]] int thread_count();
/// Their names, with commas between; empty if they cannot be read.
[[nodiscard]] std::string thread_names();

}  // namespace bulkhead::detail
