// SPDX-License-Identifier: MIT
#include "worker/zygote.hpp"

#include "worker/reset.hpp"
#include <bulkhead/error.hpp>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cinttypes>
#include <csignal>
#include <cstdio>
#include <deque>
#include <fcntl.h>
#include <fstream>
#include <iterator>
#include <poll.h>
#include <span>
#include <string>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <unordered_map>
#include <utility>

namespace bulkhead::detail {
namespace {

constexpr std::chrono::milliseconds kFarewell{1000};
constexpr std::chrono::milliseconds kFarewellOfOne{10};

int open_pidfd(pid_t pid) {
  return static_cast<int>(::syscall(SYS_pidfd_open, pid, 0));
}

/// The loop of the zygote process.
class ZygoteProcess {
 public:
  ZygoteProcess(const WorkerSetup& setup, int doorbell, int control, int coordinator)
      : setup_(setup),
        doorbell_(Descriptor(doorbell)),
        control_(control),
        coordinator_(coordinator) {
    sigset_t children;
    ::sigemptyset(&children);
    ::sigaddset(&children, SIGCHLD);
    ::sigprocmask(SIG_SETMASK, &children, nullptr);
    signals_ = Descriptor(::signalfd(-1, &children, SFD_CLOEXEC | SFD_NONBLOCK));
    if (!signals_) ::_exit(kExitBadSetup);
  }

  [[noreturn]] void run() {
    for (;;) {
      const short want = static_cast<short>(POLLIN | (unsent_.empty() ? 0 : POLLOUT));
      std::array<pollfd, 3> fds{
          {{control_, want, 0}, {coordinator_, POLLIN, 0}, {signals_.get(), POLLIN, 0}}};
      ::poll(fds.data(), fds.size(), -1);
      if (fds[1].revents != 0) end();
      if (fds[2].revents != 0) reap();
      flush();
      if ((fds[0].revents & ~POLLOUT) != 0) obey();
    }
  }

 private:
  void obey() {
    for (;;) {
      ControlMessage message;
      ControlDescriptors fds;
      const Received received = receive_control(control_, message, &fds);
      if (received == Received::nothing) return;
      if (received == Received::closed) end();
      if (message.kind == ControlKind::fork) start(message, std::move(fds));
      if (message.kind == ControlKind::kill) kill(message);
      if (message.kind == ControlKind::end) end();
    }
  }

  void start(ControlMessage message, ControlDescriptors fds) {
    const pid_t self = ::getpid();
    errno = setup_.cgroup ? setup_.cgroup->make(message.epoch) : 0;
    const pid_t pid = errno != 0 ? -1 : ::fork();
    if (pid == 0) become(self, message, std::move(fds));
    if (pid < 0) {
      message.kind = ControlKind::fork_failed;
      message.value = errno;
    } else {
      ::setpgid(pid, pid);
      children_.emplace(pid, message.epoch);
      message.kind = ControlKind::started;
      message.pid = pid;
    }
    send(message);
  }

  // What would leave this function would unwind the host's stack in a second process.
  [[noreturn]] void become(pid_t zygote, const ControlMessage& message,
                           ControlDescriptors fds) noexcept {
    die_with_parent(zygote);
    if (setup_.cgroup && !setup_.cgroup->join(message.epoch)) ::_exit(kExitNoCgroup);
    const bool stands_by = message.value != 0;
    become_worker(stands_by ? "bulkhead-spare" : "bulkhead-worker");
    reset_signals();
    std::array<int, 2 + kMostControlDescriptors> keep{doorbell_.fd(), LogSender::descriptor()};
    std::transform(fds.begin(), fds.end(), std::next(keep.begin(), 2),
                   [](const Descriptor& fd) { return fd.get(); });
    close_descriptors(keep);
    serve(setup_, doorbell_, std::move(fds));
  }

  void kill(const ControlMessage& message) {
    for (const auto& [pid, epoch] : children_) {
      if (epoch != message.epoch) continue;
      ::kill(-pid, message.value);
      if (::getpgid(pid) != pid) ::kill(pid, message.value);  // it has left its group
    }
  }

  void reap() {
    signalfd_siginfo ignored;
    while (::read(signals_.get(), &ignored, sizeof ignored) > 0) {
    }
    for (;;) {
      siginfo_t info{};
      rusage usage{};  // which the C library's waitid() does not ask for
      if (::syscall(SYS_waitid, P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT, &usage) != 0) return;
      if (info.si_pid == 0) return;
      report(info, usage);
      ::waitpid(info.si_pid, nullptr, 0);
    }
  }

  // The group is killed before the worker is reaped: until then its number cannot be anybody
  // else's.
  void report(const siginfo_t& info, const rusage& usage) {
    const auto found = children_.find(info.si_pid);
    if (found == children_.end()) return;
    ::kill(-info.si_pid, SIGKILL);
    ControlMessage message;
    message.kind = ControlKind::died;
    message.epoch = found->second;
    message.pid = info.si_pid;
    message.code = info.si_code;
    message.value = info.si_status;
    message.max_rss_kib = usage.ru_maxrss;
    if (setup_.cgroup) {
      message.oom_kills = setup_.cgroup->oom_kills(message.epoch);
      setup_.cgroup->remove(message.epoch);
    }
    children_.erase(found);
    send(message);
  }

  void send(const ControlMessage& message) {
    unsent_.push_back(message);
    flush();
  }

  void flush() {
    while (!unsent_.empty()) {
      const int error = send_control(control_, unsent_.front());
      if (error == EAGAIN) return;
      if (error != 0) end();
      unsent_.pop_front();
    }
  }

  [[noreturn]] void end() {
    for (const auto& [pid, epoch] : children_) ::kill(-pid, SIGKILL);
    // A cgroup's name is in the memory that is given up.
    if (!setup_.cgroup) give_up_large_memory();
    // Without a cgroup, nothing may be used from here on that is not code or on the stack.
    // What tasks have left running has become ours when its parent died, whatever its session: it
    // ends too.
    do {
      kill_children();
    } while (reap_some());
    if (setup_.cgroup) setup_.cgroup->remove_all();
    ::_exit(0);
  }

  /// Waits for an end and takes those that have come meanwhile; false if there is no child.
  static bool reap_some() {
    if (::waitpid(-1, nullptr, 0) <= 0) return false;
    while (::waitpid(-1, nullptr, WNOHANG) > 0) {
    }
    return true;
  }

  static void kill_children() {
    const int file = ::open("/proc/thread-self/children", O_RDONLY | O_CLOEXEC);
    std::array<char, 4096> text;
    pid_t pid = 0;
    for (ssize_t size = 1; size > 0;) {
      size = ::read(file, text.data(), text.size());
      for (ssize_t i = 0; i < size; ++i) {
        const char letter = text[static_cast<std::size_t>(i)];
        if (letter >= '0' && letter <= '9') {
          pid = pid * 10 + (letter - '0');
        } else if (pid != 0) {
          ::kill(std::exchange(pid, 0), SIGKILL);
        }
      }
    }
    ::close(file);
  }

  struct Range {
    std::uintptr_t begin;
    std::uintptr_t end;
  };

  /// The workers' memory and ours is taken down at the same time, and not ours when theirs is gone:
  /// the host waits for it.
  static void give_up_large_memory() {
    std::array<Range, 64> ranges;
    const std::size_t count = find_large_memory(ranges);
    for (const Range& range : std::span(ranges).first(count)) {
      ::madvise(reinterpret_cast<void*>(range.begin), range.end - range.begin, MADV_DONTNEED);
    }
  }

  /// What is private, and large: the host's data. Not what holds the stack or this thread's
  /// variables (in static programs those are in the heap).
  static std::size_t find_large_memory(std::span<Range> ranges) {
    constexpr std::uintptr_t kLarge = std::uintptr_t{64} << 20;
    const std::array<std::uintptr_t, 2> needed{reinterpret_cast<std::uintptr_t>(&ranges),
                                               reinterpret_cast<std::uintptr_t>(&errno)};
    std::ifstream maps("/proc/self/maps");
    std::string line;
    std::size_t count = 0;
    while (count < ranges.size() && std::getline(maps, line)) {
      Range range{};
      std::array<char, 5> access{};
      unsigned long inode = 0;
      const int fields = std::sscanf(line.c_str(), "%" SCNxPTR "-%" SCNxPTR " %4s %*s %*s %lu",
                                     &range.begin, &range.end, access.data(), &inode);
      const bool anonymous = fields == 4 && inode == 0 && access[1] == 'w' && access[3] == 'p';
      const bool in_use = std::any_of(needed.begin(), needed.end(), [&](std::uintptr_t address) {
        return address >= range.begin && address < range.end;
      });
      if (anonymous && !in_use && range.end - range.begin >= kLarge) ranges[count++] = range;
    }
    return count;
  }

  const WorkerSetup& setup_;
  Doorbell doorbell_;
  int control_;
  int coordinator_;  ///< pidfd
  Descriptor signals_;
  std::unordered_map<pid_t, std::uint64_t> children_;  ///< the epochs of the workers
  std::deque<ControlMessage> unsent_;
};

[[noreturn]] void become_zygote(const WorkerSetup& setup, int doorbell, int control,
                                int coordinator) noexcept {
  ::setpgid(0, 0);
  reset_signals();
  drop_buffered_output();
  std::array<int, 4> keep{move_high(doorbell), move_high(control), move_high(coordinator),
                          LogSender::descriptor()};
  const auto [high_doorbell, high_control, high_coordinator, log] = keep;
  close_descriptors(keep);
  name_process("bulkhead-zygote");
  ::prctl(PR_SET_CHILD_SUBREAPER, 1);
  ZygoteProcess(setup, high_doorbell, high_control, high_coordinator).run();
}

/// No signal handler of the host may run in the child before it has reset them.
class SignalsBlocked {
 public:
  SignalsBlocked() {
    sigset_t all;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  ~SignalsBlocked() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  SignalsBlocked(const SignalsBlocked&) = delete;
  SignalsBlocked& operator=(const SignalsBlocked&) = delete;

 private:
  sigset_t before_{};
};

}  // namespace

Zygote::Zygote(const WorkerSetup& setup, const Doorbell& doorbell, int workers)
    : farewell_(kFarewell + workers * kFarewellOfOne) {
  std::array<int, 2> ends{-1, -1};
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) != 0) {
    throw SystemError("bulkhead: cannot create a socket pair", errno);
  }
  control_ = Descriptor(ends[0]);
  const Descriptor theirs(ends[1]);
  if (!control_ || !theirs) throw SystemError("bulkhead: cannot create a socket pair", errno);
  const Descriptor self(open_pidfd(::getpid()));
  if (!self) throw SystemError("bulkhead: cannot open a pidfd", errno);
  {
    const SignalsBlocked blocked;
    pid_ = ::fork();
    if (pid_ == 0) become_zygote(setup, doorbell.fd(), theirs.get(), self.get());
  }
  if (pid_ < 0) throw SystemError("bulkhead: cannot fork the zygote", errno);
  pidfd_ = Descriptor(open_pidfd(pid_));
  if (!pidfd_) {
    const int error = errno;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    throw SystemError("bulkhead: cannot open the zygote's pidfd", error);
  }
}

Zygote::~Zygote() {
  if (!pidfd_) return;
  // Not by closing the socket alone: a forked copy of the host may hold it open.
  ControlMessage message;
  message.kind = ControlKind::end;
  (void)send_control(control_.get(), message);
  control_.reset();
  if (!ends_within(farewell_)) {
    ::syscall(SYS_pidfd_send_signal, pidfd_.get(), SIGKILL, nullptr, 0);
    static_cast<void>(ends_within(kFarewell));
  }
  siginfo_t info{};
  // ECHILD: the host ignores SIGCHLD, or has reaped it.
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

Received Zygote::receive(ControlMessage& message) const {
  return receive_control(control_.get(), message);
}

void Zygote::wait(std::chrono::milliseconds timeout) const {
  pollfd fd{control_.get(), POLLIN, 0};
  ::poll(&fd, 1, static_cast<int>(timeout.count()));
}

}  // namespace bulkhead::detail
