// SPDX-License-Identifier: MIT
#include "worker/zygote.hpp"

#include <cerrno>
#include <csignal>
#include <fstream>
#include <poll.h>
#include <string>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <utility>

namespace bulkhead::detail {
namespace {

constexpr std::chrono::milliseconds kFarewell{1000};
constexpr std::chrono::milliseconds kFarewellOfOne{10};
/// More for one that is at work, but has little of a CPU.
constexpr std::chrono::milliseconds kIfItWorks{4000};

/// Stopped, by a signal or a debugger, as it may be for ever.
bool is_stopped(pid_t pid) {
  std::string text;
  std::getline(std::ifstream("/proc/" + std::to_string(pid) + "/stat"), text);
  const std::size_t name_end = text.rfind(')');
  if (name_end == std::string::npos || name_end + 2 >= text.size()) return true;
  return text[name_end + 2] == 'T' || text[name_end + 2] == 't';
}

}  // namespace

Zygote::Zygote(NewZygote zygote, int workers)
    : control_(std::move(zygote.control)),
      pidfd_(std::move(zygote.pidfd)),
      pid_(zygote.pid),
      farewell_(kFarewell + workers * kFarewellOfOne) {}

Zygote::~Zygote() {
  if (!pidfd_) return;
  // Not by closing the socket alone: a forked copy of the host may hold it open.
  ControlMessage message;
  message.kind = ControlKind::end;
  (void)send_control(control_.get(), message);
  control_.reset();
  if (!ends_within(farewell_) && (is_stopped(pid_) || !ends_within(kIfItWorks))) {
    ::syscall(SYS_pidfd_send_signal, pidfd_.get(), SIGKILL, nullptr, 0);
    static_cast<void>(ends_within(kFarewell));
  }
  siginfo_t info{};
  // ECHILD: it is not the host's child, or the host ignores SIGCHLD, or has reaped it.
  ::waitid(static_cast<idtype_t>(P_PIDFD), static_cast<id_t>(pidfd_.get()), &info,
           WEXITED | WNOHANG);
}

/// True if the zygote's process has ended; signals of the host's do not shorten the wait.
bool Zygote::ends_within(std::chrono::milliseconds time) const {
  const auto deadline = std::chrono::steady_clock::now() + time;
  pollfd fd{pidfd_.get(), POLLIN, 0};
  for (;;) {
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    if (left.count() < 0) return false;
    const int result = ::poll(&fd, 1, static_cast<int>(left.count()));
    if (result == 1) return true;
    if (result == 0 || errno != EINTR) return false;
  }
}

int Zygote::request_fork(std::uint64_t epoch, Duty duty, std::span<const int> fds) const {
  ControlMessage message;
  message.kind = ControlKind::fork;
  message.value = duty == Duty::stand_by ? 1 : 0;
  message.epoch = epoch;
  return send_control(control_.get(), message, fds);
}

int Zygote::request_signal(std::uint64_t epoch, int signal) const {
  ControlMessage message;
  message.kind = ControlKind::kill;
  message.epoch = epoch;
  message.value = signal;
  return send_control(control_.get(), message);
}

int Zygote::request_watch(int epoll) const {
  ControlMessage message;
  message.kind = ControlKind::watch;
  return send_control(control_.get(), message, std::span(&epoll, 1));
}

Received Zygote::receive(ControlMessage& message) const {
  return receive_control(control_.get(), message);
}

void Zygote::wait(std::chrono::milliseconds timeout) const {
  pollfd fd{control_.get(), POLLIN, 0};
  ::poll(&fd, 1, static_cast<int>(timeout.count()));
}

}  // namespace bulkhead::detail
