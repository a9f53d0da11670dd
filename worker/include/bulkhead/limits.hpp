// SPDX-License-Identifier: MIT
//
// What a worker may use of the machine. Whatever it exceeds, the task that runs fails and says so.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

namespace bulkhead {

/// Limits of each worker. What is not set is as in the process that made the pool; nor can more be
/// had than that one's own hard limits allow.
struct Limits {
  /// Bytes of memory of its own (RLIMIT_DATA; with `cgroup`: see there) that a worker may have
  /// beyond what it has at its start, at least 1 MiB. A task that asks for more gets
  /// std::bad_alloc; if that leaves it, it has failed as out_of_memory, and a worker that still
  /// holds more than half of the memory is replaced. Not under sanitizers, which need memory of
  /// their own.
  std::optional<std::uint64_t> memory = std::nullopt;
  /// A folder of the cgroup file system, version 2, that was delegated to this user (by
  /// `systemd-run --user -p Delegate=yes`, say) and holds this
  /// process or an ancestor's cgroup. Each worker gets a cgroup of its own below it, and `memory`
  /// is what that may use in all (memory.max), with all the worker's processes, whatever it has
  /// inherited from the host apart; who uses more is killed and has failed as out_of_memory.
  std::string cgroup = {};
  /// Time on a CPU of a worker in its whole life; whole seconds. Then it gets a SIGXCPU.
  std::optional<std::chrono::seconds> cpu_time = std::nullopt;
  /// Bytes of a file that a worker writes; a write beyond is a SIGXFSZ. Broadcasts are files too.
  std::optional<std::uint64_t> file_size = std::nullopt;
  /// The numbers of descriptors are below this, at least 16: further ones are refused (EMFILE).
  std::optional<std::uint64_t> open_files = std::nullopt;
  /// Processes and threads of the user, all in all, beyond which a worker cannot make another. Root
  /// is not bound by it.
  std::optional<std::uint64_t> processes = std::nullopt;
  /// How much sooner than others the kernel ends it for want of memory, -1000 to 1000: see
  /// proc(5). Below the host's own only with CAP_SYS_RESOURCE. Default: 300, or what the host has
  /// if that is more, so that a worker goes before the host does.
  std::optional<int> oom_score_adj = std::nullopt;
  /// True: a crash may write a core dump, if the host's limit allows one.
  bool core_dumps = false;
  /// True: what a task executes gets no rights that the task has not (no set-user-id programs).
  bool no_new_privileges = false;
};

}  // namespace bulkhead
