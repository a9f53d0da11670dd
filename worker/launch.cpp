// SPDX-License-Identifier: MIT
#include "worker/launch.hpp"

#include "worker/sent_setup.hpp"
#include "worker/zygote_process.hpp"
#include <bulkhead/error.hpp>

#include <array>
#include <cerrno>
#include <csignal>
#include <poll.h>
#include <span>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace bulkhead::detail {

NewZygote fork_zygote(const WorkerSetup& setup, const Doorbell& doorbell) {
  auto [ours, theirs] = control_sockets();
  const Descriptor self = open_pidfd(::getpid());
  const pid_t pid = fork_with_signals_blocked();
  if (pid == 0) run_zygote(setup, {theirs.get(), self.get(), doorbell.fd()});
  if (pid < 0) throw SystemError("bulkhead: cannot fork the zygote", errno);
  return {std::move(ours), open_pidfd_of_child(pid), pid};
}

std::pair<Descriptor, Descriptor> control_sockets() {
  std::array<int, 2> ends{-1, -1};
  const bool made = ::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) == 0;
  std::pair<Descriptor, Descriptor> sockets(ends[0], ends[1]);
  if (!made || !sockets.first || !sockets.second)
    throw SystemError("bulkhead: cannot create a socket pair", errno);
  return sockets;
}

Descriptor open_pidfd(pid_t pid) {
  Descriptor pidfd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  if (!pidfd) throw SystemError("bulkhead: cannot open a pidfd", errno);
  return pidfd;
}

Descriptor open_pidfd_of_child(pid_t pid) {
  try {
    return open_pidfd(pid);
  } catch (const SystemError&) {
    ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
    throw;
  }
}

pid_t fork_with_signals_blocked() {
  sigset_t all;
  sigset_t before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  const pid_t pid = ::fork();
  const int error = errno;
  if (pid != 0) ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  errno = error;
  return pid;
}

LaunchOrder::LaunchOrder(const WorkerSetup& setup, const Doorbell& doorbell)
    : coordinator_(open_pidfd(::getpid())), setup_(put_down(setup)), doorbell_(doorbell.fd()) {}

bool LaunchOrder::send(int socket, int control) const {
  ControlMessage order;
  order.kind = ControlKind::launch;
  const std::array<int, 4> fds{doorbell_, coordinator_.get(), setup_.get(), control};
  const auto sent = std::span(fds).first(control < 0 ? 3 : 4);
  int error = 0;
  while ((error = send_control(socket, order, sent)) == EAGAIN) {
    pollfd room{socket, POLLOUT, 0};
    ::poll(&room, 1, static_cast<int>(kLaunchTime.count()));
  }
  if (error != 0 && error != EPIPE)
    throw SystemError("bulkhead: a zygote cannot be asked for", error);
  return error == 0;
}

void obey_launch(ControlDescriptors fds, int control, ForwardLogs forward_logs) noexcept {
  const auto& [doorbell, coordinator, memory, socket, none] = fds;
  WorkerSetup setup = take_up(memory);
  setup.forward_logs = forward_logs;
  run_zygote(setup, {control, coordinator.get(), doorbell.get()});
}

bool await_message(int socket, int other, std::chrono::steady_clock::time_point until) {
  std::array<pollfd, 2> fds{{{socket, POLLIN, 0}, {other, POLLIN, 0}}};
  for (;;) {
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(until - std::chrono::steady_clock::now());
    if (left.count() < 0) return false;
    const int found = ::poll(fds.data(), fds.size(), static_cast<int>(left.count()));
    if (found < 0 && errno == EINTR) continue;
    return fds[0].revents != 0;
  }
}

}  // namespace bulkhead::detail
