// SPDX-License-Identifier: MIT
//
// A file descriptor with one owner.
#pragma once

#include <cerrno>
#include <fcntl.h>
#include <unistd.h>
#include <utility>

namespace bulkhead::detail {

class Descriptor {
 public:
  Descriptor() = default;
  /// One that has landed on a standard stream, as that was closed, is given a higher number: who
  /// prints must not print to us. Negative, with errno, if there is none left.
  explicit Descriptor(int fd) : fd_(fd >= 0 && fd < kFirst ? moved_up(fd) : fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    if (this != &other) {
      reset();
      fd_ = std::exchange(other.fd_, -1);
    }
    return *this;
  }
  ~Descriptor() { reset(); }

  void reset() {
    if (fd_ >= 0) ::close(std::exchange(fd_, -1));
  }
  /// The number, which is not ours to close any more.
  int release() { return std::exchange(fd_, -1); }
  [[nodiscard]] int get() const { return fd_; }
  [[nodiscard]] explicit operator bool() const { return fd_ >= 0; }

 private:
  static constexpr int kFirst = 3;

  static int moved_up(int fd) {
    const int moved = ::fcntl(fd, F_DUPFD_CLOEXEC, kFirst);
    const int error = errno;
    ::close(fd);
    errno = error;
    return moved;
  }

  int fd_ = -1;
};

}  // namespace bulkhead::detail
