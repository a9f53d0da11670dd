// SPDX-License-Identifier: MIT
//
// The messages between coordinator and zygote, and to those who make zygotes: one SEQPACKET
// datagram each, of fixed size, some with descriptors. Both ends are of one build.
#pragma once

#include "worker/descriptor.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <sys/types.h>

namespace bulkhead::detail {

enum class ControlKind : std::uint32_t {
  // coordinator to zygote
  /// With descriptors: inbox, outbox, and the ends of the pipes that the pool's workers have (see
  /// voice.hpp); value: 1 for one that is to stand by.
  fork,
  kill,  ///< a signal, value, to the worker's process group
  /// With the coordinator's epoll descriptor, which is to wake for deaths (see EventSet).
  watch,
  end,  ///< kill all workers and leave
  // coordinator to a process that is to become, or to fork, its zygote
  /// With descriptors: doorbell, pidfd of the coordinator, setup (see sent_setup.hpp), and, to the
  /// fork server, the zygote's end of the control socket.
  launch,
  // the answer
  /// From the fork server: pid, value: 0 or an errno; with its pidfd. From a spawned program:
  /// value: its threads.
  launched,
  // zygote to coordinator
  started,      ///< pid
  fork_failed,  ///< value: errno
  /// pid, code: CLD_..., value: signal or exit code, max_rss_kib, oom_kills
  died,
};

struct ControlMessage {
  std::uint64_t epoch = 0;  ///< which worker: each that is asked for has its own
  ControlKind kind = ControlKind::fork;
  std::int32_t pid = 0;
  std::int32_t code = 0;
  std::int32_t value = 0;
  std::int64_t max_rss_kib = 0;
  std::int64_t oom_kills = 0;  ///< in its cgroup, if it had one
};

inline constexpr std::size_t kMostControlDescriptors = 5;
/// Where the control socket is among the descriptors of ControlKind::launch.
inline constexpr std::size_t kLaunchSocket = 3;
/// Those that did not come are empty.
using ControlDescriptors = std::array<Descriptor, kMostControlDescriptors>;

/// Sends one message, with at most kMostControlDescriptors. 0, or the errno: EAGAIN if the
/// socket is full, EPIPE if the other side is gone. Never raises SIGPIPE.
[[nodiscard]] int send_control(int socket, const ControlMessage& message,
                               std::span<const int> fds = {});

enum class Received : std::uint8_t { message, nothing, closed };

/// Takes one message if there is one; `fds` gets the descriptors that came with it, close-on-exec.
[[nodiscard]] Received receive_control(int socket, ControlMessage& message,
                                       ControlDescriptors* fds = nullptr);

}  // namespace bulkhead::detail
