// SPDX-License-Identifier: MIT
#include "worker/terminal.hpp"

#include <sys/ioctl.h>
#include <unistd.h>

namespace bulkhead::detail {

bool is_terminal(int fd) {
  return ::isatty(fd) == 1;
}

std::size_t columns(int fd) {
  constexpr std::size_t kUsual = 80;
  winsize size{};
  return ::ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 1 ? size.ws_col : kUsual;
}

}  // namespace bulkhead::detail
