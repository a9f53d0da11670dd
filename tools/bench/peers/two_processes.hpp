// SPDX-License-Identifier: MIT
// A bare child process, a bare piece of shared memory and a pipe, for the peers that show what two
// processes can do at best. The child runs one body that serves until it is killed.

#pragma once

#include "bench.hpp"

#include <array>
#include <cerrno>
#include <cstdint>
#include <new>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <system_error>
#include <unistd.h>

namespace bench {

/// A T in anonymous memory that a later child shares. It has no name, so nothing can be left.
template <typename T>
class Shared {
 public:
  Shared()
      : memory_(
            ::mmap(nullptr, sizeof(T), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0)) {
    if (memory_ == MAP_FAILED) throw std::system_error(errno, std::generic_category(), "mmap");
    value_ = new (memory_) T;
  }
  ~Shared() { ::munmap(memory_, sizeof(T)); }
  Shared(const Shared&) = delete;
  Shared& operator=(const Shared&) = delete;

  T& operator*() { return *value_; }
  T* operator->() { return value_; }

 private:
  void* memory_;
  T* value_ = nullptr;
};

/// A forked process that runs `body`, and is killed and reaped with this object. It also dies
/// with its parent.
class Child {
 public:
  template <typename Body>
  explicit Child(Body body) {
    const pid_t parent = ::getpid();
    pid_ = ::fork();
    if (pid_ < 0) throw std::system_error(errno, std::generic_category(), "fork");
    if (pid_ > 0) return;
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) ::_exit(1);  // the parent died before the line above
    try {
      body();
    } catch (...) {
      ::_exit(1);
    }
    ::_exit(0);
  }
  ~Child() {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

 private:
  pid_t pid_ = -1;
};

/// Numbers passed one way between processes that have both ends.
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

  void post(std::int64_t value) const {
    require(::write(ends_[1], &value, sizeof value) == sizeof value, "short write to pipe");
  }

  [[nodiscard]] std::int64_t take() const {
    std::int64_t value = 0;
    require(::read(ends_[0], &value, sizeof value) == sizeof value, "short read from pipe");
    return value;
  }

 private:
  std::array<int, 2> ends_{};  // read from the first, write to the second
};

}  // namespace bench
