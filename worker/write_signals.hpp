// SPDX-License-Identifier: MIT
//
// Writing that may raise signals, in a process whose signals are its own.
#pragma once

#include <cerrno>
#include <csignal>
#include <ctime>

namespace bulkhead::detail {

/// A write to a pipe that nobody reads, or to a file that may not grow, is an error, and not the
/// end of the host.
class WriteSignalsIgnored {
 public:
  WriteSignalsIgnored() {
    sigset_t pending;
    ::sigpending(&pending);
    ::sigemptyset(&ignored_);
    for (const int signal : {SIGPIPE, SIGXFSZ}) {
      if (::sigismember(&pending, signal) == 0) ::sigaddset(&ignored_, signal);
    }
    ::pthread_sigmask(SIG_BLOCK, &ignored_, &before_);
  }
  ~WriteSignalsIgnored() {
    const timespec now{};
    while (::sigtimedwait(&ignored_, nullptr, &now) > 0 || errno == EINTR) {
    }
    ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }
  WriteSignalsIgnored(const WriteSignalsIgnored&) = delete;
  WriteSignalsIgnored& operator=(const WriteSignalsIgnored&) = delete;

 private:
  sigset_t ignored_{};
  sigset_t before_{};
};

}  // namespace bulkhead::detail
