// SPDX-License-Identifier: MIT
// The floor of `latency`: a number sent to another process and back, sleeping while it is away,
// over a futex in shared memory or over two pipes. Neither process is pinned or spins.

#include "bench.hpp"
#include "peers/two_processes.hpp"

#include <array>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <system_error>
#include <unistd.h>

namespace {

/// A number passed one way. The other side must have taken it before the next is posted.
class Mailbox {
 public:
  void post(std::int64_t value) {
    value_ = value;
    posted_.fetch_add(1, std::memory_order_release);
    ::syscall(SYS_futex, &posted_, FUTEX_WAKE, 1, nullptr, nullptr, 0);
  }

  /// Waits for the post after the first `seen` ones.
  std::int64_t take(std::uint32_t seen) {
    while (posted_.load(std::memory_order_acquire) == seen) {
      ::syscall(SYS_futex, &posted_, FUTEX_WAIT, seen, nullptr, nullptr, 0);
    }
    return value_;
  }

 private:
  std::atomic<std::uint32_t> posted_{0};  // also the futex word
  std::int64_t value_ = 0;
};

struct Mailboxes {
  alignas(64) Mailbox question;
  alignas(64) Mailbox answer;
};

bench::Figure futex(std::size_t size) {
  bench::Shared<Mailboxes> boxes;
  const bench::Child child([&] {
    for (std::uint32_t round = 0;; ++round) {
      (*boxes).answer.post(bench::increment((*boxes).question.take(round)));
    }
  });
  std::uint32_t round = 0;
  return bench::latency(size, [&](std::int64_t x) {
    (*boxes).question.post(x);
    return (*boxes).answer.take(round++);
  });
}

class Pipe {
 public:
  Pipe() {
    if (::pipe(ends_.data()) != 0) {
      throw std::system_error(errno, std::generic_category(), "pipe");
    }
  }
  ~Pipe() {
    for (const int end : ends_) ::close(end);
  }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;

  void post(std::int64_t value) {
    bench::require(::write(ends_[1], &value, sizeof value) == sizeof value, "short write to pipe");
  }

  std::int64_t take() {
    std::int64_t value = 0;
    bench::require(::read(ends_[0], &value, sizeof value) == sizeof value, "short read from pipe");
    return value;
  }

 private:
  std::array<int, 2> ends_{};  // read from the first, write to the second
};

bench::Figure pipe(std::size_t size) {
  Pipe question;
  Pipe answer;
  const bench::Child child([&] {
    for (;;) answer.post(bench::increment(question.take()));
  });
  return bench::latency(size, [&](std::int64_t x) {
    question.post(x);
    return answer.take();
  });
}

}  // namespace

int main(int argc, char** argv) {
  return bench::run_program(argc, argv, {{"futex", futex}, {"pipe", pipe}});
}
