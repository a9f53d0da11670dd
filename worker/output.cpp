// SPDX-License-Identifier: MIT
#include "worker/output.hpp"

#include "worker/reset.hpp"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <random>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace bulkhead::detail {
namespace {

/// After so many bytes others are looked after.
constexpr std::size_t kTurn = std::size_t{1} << 20;
/// Looks in a row at which the running task had changed meanwhile: a worker that counts like that
/// does not write marks.
constexpr int kMostLooks = 8;
/// A stream of the host's that takes nothing for so long gets nothing.
constexpr int kStuck = 1000;  // ms

struct Stream {
  int fd = -1;  ///< a copy, where tasks do not meet it
  ino_t inode = 0;
};

/// The worker's; the original streams may be closed or replaced by tasks.
struct Redirected {
  std::array<Stream, 2> streams;
  OutputMark mark;
  bool active = false;
};
Redirected redirected;

Stream redirect(Descriptor pipe, int stream) {
  ::dup2(pipe.get(), stream);
  const int high = move_high(pipe.release());
  struct stat status {};
  ::fstat(high, &status);
  return {high, status.st_ino};
}

bool is_still(const Stream& stream) {
  struct stat status {};
  return ::fstat(stream.fd, &status) == 0 && S_ISFIFO(status.st_mode) &&
         status.st_ino == stream.inode;
}

/// Waits for a stream that was made non-blocking. False if it is stuck.
bool await_room(int stream) {
  pollfd fd{stream, POLLOUT, 0};
  return ::poll(&fd, 1, kStuck) == 1;
}

/// A write to a pipe that nobody reads is an error, and not the end of the host.
class BrokenPipeIgnored {
 public:
  BrokenPipeIgnored() {
    ::sigemptyset(&broken_);
    ::sigaddset(&broken_, SIGPIPE);
    sigset_t pending;
    ::sigpending(&pending);
    was_pending_ = ::sigismember(&pending, SIGPIPE) == 1;
    ::pthread_sigmask(SIG_BLOCK, &broken_, &before_);
  }
  ~BrokenPipeIgnored() {
    const timespec now{};
    while (!was_pending_ && ::sigtimedwait(&broken_, nullptr, &now) < 0 && errno == EINTR) {
    }
    ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }
  BrokenPipeIgnored(const BrokenPipeIgnored&) = delete;
  BrokenPipeIgnored& operator=(const BrokenPipeIgnored&) = delete;

 private:
  sigset_t broken_{};
  sigset_t before_{};
  bool was_pending_ = false;
};

}  // namespace

MarkSecret make_mark_secret() {
  std::random_device random;
  MarkSecret secret;
  for (char& letter : secret) letter = static_cast<char>(random());
  return secret;
}

void redirect_output(Output mode, Descriptor out, Descriptor err, const MarkSecret& secret) {
  if (mode == Output::inherit) return;
  if (mode == Output::discard) {
    const Descriptor nothing(::open("/dev/null", O_WRONLY | O_CLOEXEC));
    ::dup2(nothing.get(), STDOUT_FILENO);
    ::dup2(nothing.get(), STDERR_FILENO);
    return;
  }
  redirected.mark.secret = secret;
  redirected.streams = {redirect(std::move(out), STDOUT_FILENO),
                        redirect(std::move(err), STDERR_FILENO)};
  redirected.active = true;
}

bool mark_output(std::uint64_t task) {
  if (!redirected.active) return true;
  std::fflush(stdout);
  redirected.mark.task = task;
  for (const Stream& stream : redirected.streams) {
    int unread = 0;
    if (::ioctl(stream.fd, FIONREAD, &unread) != 0) return false;
    if (unread == 0) continue;
    if (!is_still(stream)) return false;
    // In one piece, as it is short.
    [[maybe_unused]] const auto written =
        ::write(stream.fd, &redirected.mark, sizeof redirected.mark);
  }
  return true;
}

std::string_view PeekPipe::look_into(int fd) {
  const ssize_t seen = ::tee(fd, pipe_.write_end.get(), kTurn, SPLICE_F_NONBLOCK);
  if (seen <= 0) return {};
  bytes_.resize(static_cast<std::size_t>(seen));
  std::size_t size = 0;
  while (size < bytes_.size()) {
    const ssize_t step = ::read(pipe_.read_end.get(), bytes_.data() + size, bytes_.size() - size);
    if (step <= 0) break;
    size += static_cast<std::size_t>(step);
  }
  return {bytes_.data(), size};
}

bool OutputPipe::read(PeekPipe& peek, const MarkSecret& secret,
                      const std::function<std::uint64_t()>& running, const Take& take) {
  const std::string_view needle(secret.data(), secret.size());
  std::size_t taken = 0;
  for (int looks = 0; taken < kTurn;) {
    const std::uint64_t before = running();
    std::string_view text = peek.look_into(fd());
    if (text.empty()) return true;
    const std::uint64_t after = running();
    std::size_t used = 0;
    for (std::size_t at = 0; (at = text.find(needle)) != std::string_view::npos;) {
      if (text.size() - at < sizeof(OutputMark)) break;
      OutputMark mark;
      std::memcpy(&mark, text.data() + at, sizeof mark);
      if (at != 0) take(mark.task, text.substr(0, at));
      text.remove_prefix(at + sizeof mark);
      used += at + sizeof mark;
    }
    if (before == after || ++looks >= kMostLooks) {
      if (!text.empty()) take(after, text);
      used += text.size();
    }
    if (used != 0) looks = 0;
    drop(used);
    taken += used;
  }
  return false;
}

void OutputPipe::drop(std::size_t bytes) {
  std::array<char, 4096> ignored;
  while (bytes != 0) {
    const ssize_t step = ::read(fd(), ignored.data(), std::min(bytes, ignored.size()));
    if (step <= 0) return;
    bytes -= static_cast<std::size_t>(step);
  }
}

void print(int stream, std::string_view text) {
  const BrokenPipeIgnored ignored;
  while (!text.empty()) {
    const ssize_t written = ::write(stream, text.data(), text.size());
    if (written > 0) text.remove_prefix(static_cast<std::size_t>(written));
    if (written >= 0 || errno == EINTR) continue;
    if (errno != EAGAIN || !await_room(stream)) return;
  }
}

}  // namespace bulkhead::detail
