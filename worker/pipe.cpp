// SPDX-License-Identifier: MIT
#include "worker/pipe.hpp"

#include <bulkhead/error.hpp>

#include <array>
#include <cerrno>
#include <fcntl.h>
#include <unistd.h>

namespace bulkhead::detail {

Pipe::Pipe() {
  std::array<int, 2> ends{-1, -1};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) {
    throw SystemError("bulkhead: cannot create a pipe", errno);
  }
  read_end = Descriptor(ends[0]);
  write_end = Descriptor(ends[1]);
  if (::fcntl(read_end.get(), F_SETFL, O_NONBLOCK) != 0) {
    throw SystemError("bulkhead: cannot set up a pipe", errno);
  }
}

}  // namespace bulkhead::detail
