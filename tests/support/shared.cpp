// SPDX-License-Identifier: MIT
#include "tests/support/shared.hpp"

#include <cerrno>
#include <climits>
#include <ctime>
#include <linux/futex.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <system_error>
#include <unistd.h>

namespace bulkhead::test {
namespace {

using std::chrono::duration_cast;
using std::chrono::nanoseconds;
using std::chrono::seconds;
using std::chrono::steady_clock;

timespec to_timespec(nanoseconds time) {
  const auto whole = duration_cast<seconds>(time);
  return {whole.count(), (time - whole).count()};
}

}  // namespace

void* map_shared(std::size_t bytes) {
  void* memory = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) throw std::system_error(errno, std::generic_category(), "mmap");
  return memory;
}

void Tally::add(std::uint32_t more) {
  value_.fetch_add(more);
  ::syscall(SYS_futex, &value_, FUTEX_WAKE, INT_MAX, nullptr, nullptr, 0);
}

bool Tally::reaches(std::uint32_t wanted, std::chrono::milliseconds limit) const {
  const auto deadline = steady_clock::now() + limit;
  for (std::uint32_t seen = value_.load(); seen < wanted; seen = value_.load()) {
    const auto left = deadline - steady_clock::now();
    if (left <= nanoseconds::zero()) return false;
    const timespec timeout = to_timespec(left);
    ::syscall(SYS_futex, &value_, FUTEX_WAIT, seen, &timeout, nullptr, 0);
  }
  return true;
}

int Gated::wait_for_gate(int x) {
  begun.add();
  (void)gate.reaches(1, seconds{60});
  return x;
}

void work_for(nanoseconds duration) {
  const auto end = steady_clock::now() + duration;
  while (steady_clock::now() < end) {
  }
}

void pause_a_moment() {
  ::poll(nullptr, 0, 1);
}

}  // namespace bulkhead::test
