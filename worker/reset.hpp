// SPDX-License-Identifier: MIT
//
// What a forked process does away with before it runs anything: what it has inherited from the
// host. Called in the zygote and in each worker, while they have one thread.
#pragma once

#include <span>
#include <sys/types.h>

namespace bulkhead::detail {

/// All signals to their default action, none blocked, none pending that matters.
void reset_signals();

/// Closes all descriptors except 0, 1, 2 and those of `keep`, which it sorts. Standard input
/// becomes /dev/null.
void close_descriptors(std::span<int> keep);

/// Moves a descriptor to a high number, where code that closes or counts low ones does not meet it.
/// Returns the old one if there is no room.
int move_high(int fd);

/// Text that the host had buffered but not written is the host's to write: drops this process's
/// copy.
void drop_buffered_output();

/// Makes this process end when `parent`, the process that forked it, ends. To be called by a
/// process whose parent has one thread. Ends at once if the parent is gone already.
void die_with_parent(pid_t parent);

/// What a worker has of its own: a process group, line-buffered output, a higher badness for the
/// kernel's out-of-memory killer than the host's.
void become_worker(const char* name);

/// How many pools this process is in: 0 in a host, 1 in a worker, 2 in a worker of a worker's pool.
[[nodiscard]] int pools_deep();
/// For a process that is no fork of its pool's host.
void set_pools_deep(int pools);

/// What `ps` shows of this process.
void name_process(const char* name);

}  // namespace bulkhead::detail
