// SPDX-License-Identifier: MIT
#include "worker/zygote_process.hpp"

#include "worker/child_signals.hpp"
#include "worker/control.hpp"
#include "worker/descriptor.hpp"
#include "worker/reset.hpp"
#include "worker/wake.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cinttypes>
#include <csignal>
#include <cstdint>
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
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <unordered_map>
#include <utility>

namespace bulkhead::detail {
namespace {

/// The loop of the zygote process.
class ZygoteProcess {
 public:
  ZygoteProcess(const WorkerSetup& setup, ZygoteDescriptors fds)
      : setup_(setup),
        doorbell_(Descriptor(fds.doorbell)),
        control_(fds.control),
        coordinator_(fds.coordinator) {}

  [[noreturn]] void run() {
    for (;;) {
      const short want = static_cast<short>(POLLIN | (unsent_.empty() ? 0 : POLLOUT));
      std::array<pollfd, 3> fds{
          {{control_, want, 0}, {coordinator_, POLLIN, 0}, {signals_.fd(), POLLIN, 0}}};
      ::poll(fds.data(), fds.size(), -1);
      if (fds[1].revents != 0) end();
      if (fds[2].revents != 0) reap();
      flush();
      if ((fds[0].revents & ~POLLOUT) != 0) obey();
    }
  }

 private:
  /// One message: the dead are reported between two forks, however many are asked for, as the
  /// coordinator has to know of what the workers die that it replaces.
  void obey() {
    ControlMessage message;
    ControlDescriptors fds;
    const Received received = receive_control(control_, message, &fds);
    if (received == Received::nothing) return;
    if (received == Received::closed) end();
    if (message.kind == ControlKind::fork) start(message, std::move(fds));
    if (message.kind == ControlKind::kill) kill(message);
    if (message.kind == ControlKind::watch) events_ = Descriptor(move_high(fds[0].release()));
    if (message.kind == ControlKind::end) end();
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
      children_.emplace(pid, Child{message.epoch, {}});
      message.kind = ControlKind::started;
      message.pid = pid;
    }
    send(message);
    if (pid > 0) watch(pid);
  }

  /// The coordinator is to wake for its death, and not only for the report of it, unless there are
  /// so many that descriptors would be wanted for what comes with messages. What it hears of first
  /// is that the worker was forked.
  void watch(pid_t pid) {
    if (!events_ || !unsent_.empty() || children_.size() > kMostWatched) return;
    Child& child = children_.at(pid);
    child.pidfd = Descriptor(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
    if (child.pidfd) watch_death(events_.get(), child.pidfd.get(), child.epoch);
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
    for (const auto& [pid, child] : children_) {
      if (child.epoch != message.epoch) continue;
      ::kill(-pid, message.value);
      if (::getpgid(pid) != pid) ::kill(pid, message.value);  // it has left its group
    }
  }

  void reap() {
    signals_.clear();
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
    message.epoch = found->second.epoch;
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
    for (const auto& [pid, child] : children_) ::kill(-pid, SIGKILL);
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

  struct Child {
    std::uint64_t epoch;
    Descriptor pidfd;  ///< watched, if there is one
  };
  static constexpr std::size_t kMostWatched = 256;

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
  ChildSignals signals_;
  Descriptor events_;  ///< the coordinator's epoll; none: it is not to be woken
  std::unordered_map<pid_t, Child> children_;
  std::deque<ControlMessage> unsent_;
};

}  // namespace

void run_zygote(const WorkerSetup& setup, ZygoteDescriptors fds) noexcept {
  ::setpgid(0, 0);
  reset_signals();
  drop_buffered_output();
  fds = {move_high(fds.control), move_high(fds.coordinator), move_high(fds.doorbell)};
  std::array<int, 4> keep{fds.control, fds.coordinator, fds.doorbell, LogSender::descriptor()};
  close_descriptors(keep);
  name_process("bulkhead-zygote");
  ::prctl(PR_SET_CHILD_SUBREAPER, 1);
  ZygoteProcess(setup, fds).run();
}

}  // namespace bulkhead::detail
