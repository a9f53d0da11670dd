// SPDX-License-Identifier: MIT
// The floor of `latency`: a number sent to another process and back, sleeping while it is away,
// over a futex in shared memory or over two pipes. Neither process spins, and neither is pinned,
// but in `futex-two-cores`, where each has a core of its own.

#include "bench.hpp"
#include "peers/two_processes.hpp"
#include "workloads.hpp"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <linux/futex.h>
#include <sched.h>
#include <sys/syscall.h>
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

/// Both processes run where the kernel likes.
struct Unpinned {
  void operator()(int) const {}
};

/// Confines the calling process to the n-th of the CPUs that it may use.
struct Pinned {
  cpu_set_t usable{};

  Pinned() {
    if (::sched_getaffinity(0, sizeof usable, &usable) != 0 || CPU_COUNT(&usable) < 2) {
      bench::fail("two CPUs are needed");
    }
  }
  void operator()(int n) const {
    int cpu = 0;
    while (!CPU_ISSET(cpu, &usable) || n-- > 0) ++cpu;
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    bench::require(::sched_setaffinity(0, sizeof one, &one) == 0, "cannot be pinned");
  }
};

template <typename Pin>
bench::Figure futex(const bench::Request& request, const Pin& pin) {
  bench::Shared<Mailboxes> boxes;
  const bench::Child child([&] {
    pin(0);
    for (std::uint32_t round = 0;; ++round) {
      (*boxes).answer.post(bench::increment((*boxes).question.take(round)));
    }
  });
  pin(1);
  std::uint32_t round = 0;
  return bench::latency(request, [&](std::int64_t x) {
    (*boxes).question.post(x);
    return (*boxes).answer.take(round++);
  });
}

bench::Figure futex_anywhere(const bench::Request& request) {
  return futex(request, Unpinned{});
}

bench::Figure futex_two_cores(const bench::Request& request) {
  return futex(request, Pinned{});
}

bench::Figure pipe(const bench::Request& request) {
  const bench::Pipe question;
  const bench::Pipe answer;
  const bench::Child child([&] {
    for (;;) answer.post(bench::increment(question.take()));
  });
  return bench::latency(request, [&](std::int64_t x) {
    question.post(x);
    return answer.take();
  });
}

}  // namespace

int main(int argc, char** argv) {
  return bench::run_program(
      argc, argv,
      {{"futex", futex_anywhere}, {"futex-two-cores", futex_two_cores}, {"pipe", pipe}});
}
