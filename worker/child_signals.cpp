// SPDX-License-Identifier: MIT
#include "worker/child_signals.hpp"

#include "worker/serve.hpp"

#include <csignal>
#include <sys/signalfd.h>
#include <unistd.h>

namespace bulkhead::detail {

ChildSignals::ChildSignals() {
  sigset_t children;
  ::sigemptyset(&children);
  ::sigaddset(&children, SIGCHLD);
  ::sigprocmask(SIG_SETMASK, &children, nullptr);
  fd_ = Descriptor(::signalfd(-1, &children, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!fd_) ::_exit(kExitBadSetup);
}

void ChildSignals::clear() {
  signalfd_siginfo ignored;
  while (::read(fd_.get(), &ignored, sizeof ignored) > 0) {
  }
}

}  // namespace bulkhead::detail
