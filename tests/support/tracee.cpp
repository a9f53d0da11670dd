// SPDX-License-Identifier: MIT
#include "tests/support/tracee.hpp"

#include "tests/support/process.hpp"

#include <cerrno>
#include <csignal>
#include <sstream>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <system_error>
#include <unistd.h>
#include <utility>

namespace bulkhead::test {
namespace {

constexpr int kSystemCallStop = SIGTRAP | 0x80;  // PTRACE_O_TRACESYSGOOD
// A tracee whose tracer dies must not live on by itself.
constexpr long kOptions = PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL;

long trace(__ptrace_request request, pid_t pid, long address, long data) {
  return ::ptrace(request, pid, reinterpret_cast<void*>(address), reinterpret_cast<void*>(data));
}

int wait_status(pid_t pid) {
  int status = 0;
  while (::waitpid(pid, &status, __WALL) < 0) {
    if (errno != EINTR) throw std::system_error(errno, std::generic_category(), "waitpid");
  }
  return status;
}

bool is_end(int status) {
  return WIFEXITED(status) || WIFSIGNALED(status);
}

int event_of(int status) {
  return status >> 16;
}

}  // namespace

std::string why_tracing_is_refused() {
  Fork child([] { ::pause(); });
  try {
    Tracee(child.process().pid()).kill();
    return {};
  } catch (const std::system_error& refused) {
    return std::string("ptrace is refused here: ") + refused.what();
  }
}

Tracee::Tracee(pid_t pid) : pid_(pid) {
  if (trace(PTRACE_SEIZE, pid, 0, kOptions) != 0 || trace(PTRACE_INTERRUPT, pid, 0, 0) != 0) {
    throw std::system_error(errno, std::generic_category(), "ptrace");
  }
  wait_for_first_stop();
}

Tracee::Tracee(Tracee&& other) noexcept
    : pid_(std::exchange(other.pid_, 0)), pending_signal_(other.pending_signal_) {}

Tracee::~Tracee() {
  if (pid_ != 0) trace(PTRACE_DETACH, pid_, 0, pending_signal_);
}

void Tracee::wait_for_first_stop() const {
  if (is_end(wait_status(pid_))) {
    throw std::system_error(ESRCH, std::generic_category(), "the process to be traced has ended");
  }
}

/// On to the next thing of interest; signals reach the process as if nobody traced it.
Tracee::Stop Tracee::resume(int request) {
  for (;;) {
    // Fails if the process was killed meanwhile: its end is what comes next then.
    trace(static_cast<__ptrace_request>(request), pid_, 0, std::exchange(pending_signal_, 0));
    const int status = wait_status(pid_);
    if (is_end(status)) {
      pid_ = 0;
      end_status_ = status;
      return Stop::end;
    }
    const int signal = WSTOPSIG(status);
    if (signal == kSystemCallStop) return Stop::system_call;
    if (event_of(status) == PTRACE_EVENT_FORK) return Stop::child;
    if (event_of(status) != 0) continue;
    if (signal == SIGTRAP && request == PTRACE_SINGLESTEP) return Stop::step;
    pending_signal_ = signal;
  }
}

bool Tracee::reach_system_call() {
  return pid_ != 0 && resume(PTRACE_SYSCALL) == Stop::system_call;
}

bool Tracee::step(std::uint32_t instructions) {
  for (; instructions != 0; --instructions) {
    if (pid_ == 0 || resume(PTRACE_SINGLESTEP) == Stop::end) return false;
  }
  return true;
}

Tracee Tracee::next_child_of_many() {
  Tracee child;
  if (pid_ == 0) return child;
  trace(PTRACE_SETOPTIONS, pid_, 0, kOptions | PTRACE_O_TRACEFORK);
  unsigned long number = 0;
  if (resume(PTRACE_CONT) == Stop::end) return child;
  trace(PTRACE_GETEVENTMSG, pid_, 0, reinterpret_cast<long>(&number));
  trace(PTRACE_SETOPTIONS, pid_, 0, kOptions);
  child.pid_ = static_cast<pid_t>(number);
  child.wait_for_first_stop();
  trace(PTRACE_SETOPTIONS, child.pid_, 0, kOptions);
  return child;
}

Tracee Tracee::next_child() && {
  Tracee child = next_child_of_many();
  if (child.pid_ == 0) {
    throw std::system_error(ECHILD, std::generic_category(), "the process did not fork");
  }
  trace(PTRACE_DETACH, std::exchange(pid_, 0), 0, 0);
  return child;
}

void Tracee::kill() {
  if (pid_ == 0) return;
  ::kill(pid_, SIGKILL);
  while (resume(PTRACE_CONT) != Stop::end) {
  }
}

std::string Tracee::position() const {
  __ptrace_syscall_info info{};
  trace(PTRACE_GET_SYSCALL_INFO, pid_, sizeof info, reinterpret_cast<long>(&info));
  std::ostringstream text;
  if (info.op == PTRACE_SYSCALL_INFO_ENTRY) {
    text << "entry of system call " << info.entry.nr;
  } else if (info.op == PTRACE_SYSCALL_INFO_EXIT) {
    text << "exit of a system call, result " << info.exit.rval;
  } else {
    text << "instruction at 0x" << std::hex << info.instruction_pointer;
  }
  return text.str();
}

}  // namespace bulkhead::test
