// SPDX-License-Identifier: MIT
#pragma once

#include <unistd.h>

namespace bulkhead::test {

/// While it lives, a descriptor of this process means another file.
class Replaced {
 public:
  Replaced(int fd, int with) : fd_(fd), before_(::dup(fd)) { ::dup2(with, fd); }
  ~Replaced() {
    ::dup2(before_, fd_);
    ::close(before_);
  }
  Replaced(const Replaced&) = delete;
  Replaced& operator=(const Replaced&) = delete;

 private:
  int fd_;
  int before_;
};

}  // namespace bulkhead::test
