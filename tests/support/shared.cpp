// SPDX-License-Identifier: MIT
#include "tests/support/shared.hpp"

#include "tests/support/start.hpp"

#include <cerrno>
#include <climits>
#include <cstdlib>
#include <ctime>
#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <stdexcept>
#include <string>
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

void* map(std::size_t bytes, int fd) {
  const int flags = MAP_SHARED | (fd < 0 ? MAP_ANONYMOUS : 0);
  void* memory = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, flags, fd, 0);
  if (memory == MAP_FAILED) throw std::system_error(errno, std::generic_category(), "mmap");
  return memory;
}

/// What the test program has in common with itself started anew, which finds it by a variable of
/// the environment. Objects at namespace scope are made in the same order in both.
class Arena {
 public:
  Arena() {
    const char* const path = std::getenv(kVariable);
    is_new_ = path == nullptr;
    const int fd = is_new_ ? ::memfd_create("arena", 0) : ::open(path, O_RDWR | O_CLOEXEC);
    if (is_new_ && ::ftruncate(fd, kBytes) == 0) {
      ::setenv(kVariable,
               ("/proc/" + std::to_string(::getpid()) + "/fd/" + std::to_string(fd)).c_str(), 1);
    }
    begin_ = static_cast<char*>(map(kBytes, fd));
    if (!is_new_) ::close(fd);
  }

  SharedMemory take(std::size_t bytes) {
    constexpr std::size_t kAlign = 128;
    const std::size_t at = used_;
    used_ += (bytes + kAlign - 1) / kAlign * kAlign;
    if (used_ > kBytes) throw std::length_error("the test program's arena is too small");
    return {begin_ + at, is_new_};
  }

 private:
  static constexpr const char* kVariable = "BULKHEAD_TEST_ARENA";
  static constexpr std::size_t kBytes = 1 << 20;

  char* begin_;
  std::size_t used_ = 0;
  bool is_new_;
};

}  // namespace

SharedMemory map_shared(std::size_t bytes) {
  if (tested_start() != StartMethod::spawn) return {map(bytes, -1), true};
  static Arena arena;
  return arena.take(bytes);
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
