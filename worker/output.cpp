// SPDX-License-Identifier: MIT
#include "worker/output.hpp"

#include "worker/reset.hpp"
#include "worker/serve.hpp"
#include "worker/write_signals.hpp"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <climits>
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

/// In one piece, as it is short; waits where a task has made the stream non-blocking.
bool write_mark(int stream) {
  for (;;) {
    if (::write(stream, &redirected.mark, sizeof redirected.mark) > 0) return true;
    pollfd fd{stream, POLLOUT, 0};
    if (errno != EINTR && (errno != EAGAIN || ::poll(&fd, 1, -1) < 0)) return false;
  }
}

}  // namespace

MarkSecret make_mark_secret() {
  std::random_device random;
  MarkSecret secret;
  for (char& letter : secret) letter = static_cast<char>(random());
  return secret;
}

void redirect_output(Output mode, Descriptor out, Descriptor err, const MarkSecret& secret) {
  redirected.active = false;  // a worker of a task's own pool has inherited what its parent had
  if (mode == Output::inherit) return;
  if (mode == Output::discard) {
    const Descriptor nothing(::open("/dev/null", O_WRONLY | O_CLOEXEC));
    if (!nothing) ::_exit(kExitBadSetup);
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
    if (!is_still(stream) || ::ioctl(stream.fd, FIONREAD, &unread) != 0) return false;
    if (unread != 0 && !write_mark(stream.fd)) return false;
  }
  return true;
}

/// Makes room for all that the pipe `fd` can hold. False if there was, or cannot be.
bool PeekPipe::grow_to(int fd) {
  const int theirs = ::fcntl(fd, F_GETPIPE_SZ);
  const int ours = ::fcntl(pipe_.write_end.get(), F_GETPIPE_SZ);
  return theirs > ours && ::fcntl(pipe_.write_end.get(), F_SETPIPE_SZ, theirs) >= theirs;
}

void PeekPipe::drain() {
  std::array<char, 4096> ignored;
  while (::read(pipe_.read_end.get(), ignored.data(), ignored.size()) > 0) {
  }
}

std::string_view PeekPipe::look_into(int fd) {
  const ssize_t seen = ::tee(fd, pipe_.write_end.get(), kTurn, SPLICE_F_NONBLOCK);
  if (seen <= 0) return {};
  int unread = 0;
  // A task may have made its pipe larger than ours.
  if (::ioctl(fd, FIONREAD, &unread) == 0 && unread > seen && grow_to(fd)) {
    drain();
    return look_into(fd);
  }
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

bool print(int stream, std::string_view text) {
  // What a pipe takes without waiting, once it can be written to, whoever waits for it.
  constexpr std::size_t kAtOnce = PIPE_BUF;
  static std::array<std::atomic<bool>, 3> stuck{};
  std::atomic<bool>& is_stuck = stuck[static_cast<std::size_t>(stream)];
  const WriteSignalsIgnored ignored;
  while (!text.empty()) {
    pollfd fd{stream, POLLOUT, 0};
    const int ready = ::poll(&fd, 1, is_stuck ? 0 : kStuck);
    if (ready < 0 && errno == EINTR) continue;
    is_stuck = ready == 0;
    if (ready <= 0) return false;
    const ssize_t written = ::write(stream, text.data(), std::min(text.size(), kAtOnce));
    if (written > 0) text.remove_prefix(static_cast<std::size_t>(written));
    if (written < 0 && errno != EINTR && errno != EAGAIN) return false;
  }
  return true;
}

}  // namespace bulkhead::detail
