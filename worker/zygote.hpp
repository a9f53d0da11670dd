// SPDX-License-Identifier: MIT
//
// The zygote: a process with one thread that holds a snapshot of the host as it was when the pool
// began, or earlier (see launch.hpp), forks workers from it, reaps them, and tells the coordinator
// how they ended. It never runs a task. When the coordinator ends, however it ends, the zygote
// kills all workers and leaves; should the zygote itself be killed, the kernel kills the workers
// (parent-death signal).
#pragma once

#include "worker/control.hpp"
#include "worker/descriptor.hpp"
#include "worker/launch.hpp"

#include <chrono>
#include <cstdint>
#include <span>
#include <sys/types.h>

namespace bulkhead::detail {

/// The coordinator's handle on its zygote. One thread at a time.
class Zygote {
 public:
  Zygote(NewZygote zygote, int workers);
  Zygote(const Zygote&) = delete;
  Zygote& operator=(const Zygote&) = delete;
  /// Kills all workers and the zygote and waits until they are gone, for about a second, and 10 ms
  /// more for each worker, if the zygote does not run; for four seconds more if it does.
  ~Zygote();

  enum class Duty : std::uint8_t { work, stand_by };

  /// Asks for a worker, which gets these descriptors (see ControlKind::fork). The answer comes by
  /// receive(). Returns 0 or an errno.
  [[nodiscard]] int request_fork(std::uint64_t epoch, Duty duty, std::span<const int> fds) const;
  /// Asks for a signal to a worker and all processes of its group; no answer. Returns 0 or an
  /// errno.
  [[nodiscard]] int request_signal(std::uint64_t epoch, int signal) const;
  /// Asks for an EventSet to be woken when workers end, with this epoll descriptor. That may come
  /// before the report, or not at all. Returns 0 or an errno.
  [[nodiscard]] int request_watch(int epoll) const;
  /// The next report, if there is one.
  [[nodiscard]] Received receive(ControlMessage& message) const;
  /// Sleeps until there is something to receive, or `timeout` has passed.
  void wait(std::chrono::milliseconds timeout) const;

  [[nodiscard]] int control_fd() const { return control_.get(); }
  [[nodiscard]] int pidfd() const { return pidfd_.get(); }
  [[nodiscard]] pid_t pid() const { return pid_; }

 private:
  [[nodiscard]] bool ends_within(std::chrono::milliseconds time) const;

  Descriptor control_;
  Descriptor pidfd_;
  pid_t pid_ = -1;
  std::chrono::milliseconds farewell_;
};

}  // namespace bulkhead::detail
