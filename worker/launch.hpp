// SPDX-License-Identifier: MIT
//
// How a zygote comes to be: as a fork of this process; of the fork server, which was forked from
// this process early (fork_server.hpp); or as this process's program started anew (spawn.hpp). Two
// of these are no forks of the process as it is: they are sent an order, with all they need.
#pragma once

#include "worker/control.hpp"
#include "worker/descriptor.hpp"
#include "worker/serve.hpp"
#include "worker/wake.hpp"

#include <chrono>
#include <memory>
#include <sys/types.h>
#include <utility>

namespace bulkhead::detail {

/// A zygote as its coordinator has it. Ends when that one does.
struct NewZygote {
  Descriptor control;  ///< the socket to it
  Descriptor pidfd;
  pid_t pid = -1;
};

/// Forks it. `setup` and `doorbell` are used by the workers through the snapshot. Throws
/// SystemError.
[[nodiscard]] NewZygote fork_zygote(const WorkerSetup& setup, const Doorbell& doorbell);

/// Two connected sockets, ours and theirs. Throws SystemError.
[[nodiscard]] std::pair<Descriptor, Descriptor> control_sockets();
/// Throws SystemError.
[[nodiscard]] Descriptor open_pidfd(pid_t pid);
/// The pidfd of a child, which is ended if there is none to be had.
[[nodiscard]] Descriptor open_pidfd_of_child(pid_t pid);
/// As fork(), but no handler of a signal runs in the child, which has all of them blocked.
[[nodiscard]] pid_t fork_with_signals_blocked();

/// Longest time until a process obeys its order.
inline constexpr std::chrono::milliseconds kLaunchTime{20000};

/// ControlKind::launch with its descriptors, in the coordinator.
class LaunchOrder {
 public:
  /// Throws SystemError, Error, and what a hook's codec throws.
  LaunchOrder(const WorkerSetup& setup, const Doorbell& doorbell);
  /// Sends it, and with it the other end of the control socket, unless that is -1. Waits for room.
  /// False if there is nobody at the other end. Throws SystemError.
  [[nodiscard]] bool send(int socket, int control = -1) const;

 private:
  Descriptor coordinator_;
  Descriptor setup_;
  int doorbell_;
};

/// Has the log messages of the calling process go to the coordinator: see
/// WorkerSetup::forward_logs.
using ForwardLogs = void (*)(std::unique_ptr<LogSender> sender);

/// In the process that is to obey an order, which came with `fds`: becomes the zygote.
[[noreturn]] void obey_launch(ControlDescriptors fds, int control,
                              ForwardLogs forward_logs) noexcept;

/// Waits for something to receive, or until `other` becomes readable (if it is not -1), or until
/// then. False: there is nothing to receive.
[[nodiscard]] bool await_message(int socket, int other,
                                 std::chrono::steady_clock::time_point until);

}  // namespace bulkhead::detail
