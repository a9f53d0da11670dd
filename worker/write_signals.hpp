// SPDX-License-Identifier: MIT
//
// Writing that may raise signals, in a process whose signals are its own.
#pragma once

#include <cerrno>
#include <csignal>
#include <ctime>
#include <signal.h>

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

}  // namespace bulkhead::detail
