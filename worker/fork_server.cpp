// SPDX-License-Identifier: MIT
#include "worker/fork_server.hpp"

#include "worker/child_signals.hpp"
#include "worker/reset.hpp"
#include <bulkhead/error.hpp>

#include <array>
#include <cerrno>
#include <csignal>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>
#include <utility>

namespace bulkhead::detail {
namespace {

/// The loop of the fork server's process.
class ServerProcess {
 public:
  ServerProcess(Descriptor control, Descriptor host, ForwardLogs forward_logs)
      : control_(std::move(control)), host_(std::move(host)), forward_logs_(forward_logs) {}

  [[noreturn]] void run() {
    for (;;) {
      std::array<pollfd, 3> fds{
          {{control_.get(), POLLIN, 0}, {host_.get(), POLLIN, 0}, {signals_.fd(), POLLIN, 0}}};
      ::poll(fds.data(), fds.size(), -1);
      if (fds[1].revents != 0) ::_exit(0);
      if (fds[2].revents != 0) reap();
      if (fds[0].revents != 0) obey();
    }
  }

 private:
  void obey() {
    for (;;) {
      ControlMessage order;
      ControlDescriptors fds;
      const Received received = receive_control(control_.get(), order, &fds);
      if (received == Received::nothing) return;
      if (received == Received::closed) ::_exit(0);
      if (order.kind == ControlKind::launch) launch(std::move(fds));
    }
  }

  void launch(ControlDescriptors fds) {
    const Descriptor socket = std::move(fds[kLaunchSocket]);
    const pid_t pid = fork_with_signals_blocked();
    if (pid == 0) obey_launch(std::move(fds), socket.get(), forward_logs_);
    ControlMessage answer;
    answer.kind = ControlKind::launched;
    answer.pid = pid;
    answer.value = pid < 0 ? errno : 0;
    // Should there be no pidfd to be had, the zygote ends as nobody holds its socket.
    const Descriptor pidfd = pid < 0 ? Descriptor() : pidfd_of(pid, answer.value);
    const std::array<int, 1> sent{pidfd.get()};
    static_cast<void>(send_control(socket.get(), answer, std::span(sent).first(pidfd ? 1 : 0)));
  }

  static Descriptor pidfd_of(pid_t pid, std::int32_t& error) {
    try {
      return open_pidfd_of_child(pid);
    } catch (const SystemError& refused) {
      error = refused.error_number();
      return {};
    }
  }

  void reap() {
    signals_.clear();
    while (::waitpid(-1, nullptr, WNOHANG) > 0) {
    }
  }

  Descriptor control_;
  Descriptor host_;  ///< pidfd
  ChildSignals signals_;
  ForwardLogs forward_logs_;
};

[[noreturn]] void run_server(int control, int host, ForwardLogs forward_logs) noexcept {
  ::setpgid(0, 0);
  reset_signals();
  drop_buffered_output();
  control = move_high(control);
  host = move_high(host);
  std::array<int, 3> keep{control, host, LogSender::descriptor()};
  close_descriptors(keep);
  name_process("bulkhead-server");
  ServerProcess(Descriptor(control), Descriptor(host), forward_logs).run();
}

}  // namespace

ForkServer::ForkServer(ForwardLogs forward_logs) {
  auto [ours, theirs] = control_sockets();
  Descriptor self = open_pidfd(::getpid());
  const pid_t pid = fork_with_signals_blocked();
  if (pid == 0) run_server(theirs.release(), self.release(), forward_logs);
  if (pid < 0) throw SystemError("bulkhead: cannot fork the fork server", errno);
  pidfd_ = open_pidfd_of_child(pid);
  control_ = std::move(ours);
}

bool ForkServer::has_ended() const {
  pollfd server{pidfd_.get(), POLLIN, 0};
  return ::poll(&server, 1, 0) == 1;
}

NewZygote ForkServer::launch(const WorkerSetup& setup, const Doorbell& doorbell) const {
  auto [ours, theirs] = control_sockets();
  const bool sent = LaunchOrder(setup, doorbell).send(control_.get(), theirs.get());
  theirs.reset();  // so that its end shows, should the server end
  ControlMessage answer;
  ControlDescriptors fds;
  const auto until = std::chrono::steady_clock::now() + kLaunchTime;
  if (sent && !await_message(ours.get(), -1, until))
    throw SystemError("bulkhead: the fork server does not answer", ETIMEDOUT);
  if (!sent || receive_control(ours.get(), answer, &fds) != Received::message) {
    throw Error(
        "bulkhead: the fork server, which bulkhead::init() has started, was killed (by another "
        "process, or for want of memory); choose another StartMethod, start the program again, or, "
        "while it has no other threads, call bulkhead::init() again");
  }
  if (answer.value != 0)
    throw SystemError("bulkhead: the fork server cannot fork a zygote", answer.value);
  return {std::move(ours), std::move(fds[0]), answer.pid};
}

}  // namespace bulkhead::detail
