// SPDX-License-Identifier: MIT
//
// The life of a worker process after the zygote has forked it: set itself up, serve tasks, leave by
// _exit.
#pragma once

#include "worker/cgroup.hpp"
#include "worker/control.hpp"
#include "worker/fence.hpp"
#include "worker/log_pipe.hpp"
#include "worker/module.hpp"
#include "worker/voice.hpp"
#include "worker/wake.hpp"
#include <bulkhead/hook.hpp>
#include <bulkhead/limits.hpp>
#include <bulkhead/testing.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

namespace bulkhead::detail {

/// What all workers of a pool are told. Lives in the memory that they inherit from the zygote; a
/// zygote that is no fork of the coordinator is sent it.
struct WorkerSetup {
  std::size_t ring_bytes = 0;
  Fences fences = best_fences();
  ModuleMap modules = ModuleMap::snapshot();  ///< taken before the fork, so the same in all of them
  Hook initializer;
  Hook finalizer;
  std::optional<std::chrono::nanoseconds> idle_timeout;  ///< a worker without tasks leaves then
  Limits limits;
  std::shared_ptr<const PoolCgroup> cgroup;  ///< null: none
  VoicePlan voice;
  std::vector<fault::Fault> faults;
  /// Has log messages go to the coordinator; called if the plan says so.
  std::function<void(std::unique_ptr<LogSender>)> forward_logs;
  std::vector<int> cpus;  ///< worker n stays on the one at n; empty: on any
};

/// Exit codes by which a worker says that it cannot go on; the coordinator knows them.
inline constexpr int kExitNoCgroup = 120;      ///< its cgroup did not take it
inline constexpr int kExitLostDoorbell = 121;  ///< the doorbell's descriptor was closed by a task
inline constexpr int kExitBadSetup = 122;      ///< its memory could not be mapped
inline constexpr int kExitBrokenInbox = 123;   ///< the inbox makes no sense
inline constexpr int kExitInitializer = 124;   ///< set-up or initializer failed, and said why

/// The task number of a `failed` frame that is about the worker's set-up, not the user's code.
inline constexpr std::uint64_t kSetupComplaint = 1;

/// Serves tasks until told to leave; `fds` are those of a ControlKind::fork. The calling process is
/// a fresh fork with one thread.
[[noreturn]] void serve(const WorkerSetup& setup, const Doorbell& doorbell, ControlDescriptors fds);

}  // namespace bulkhead::detail
