// SPDX-License-Identifier: MIT
//
// Tracee: a process that is led from system call to system call, or from instruction to
// instruction, by ptrace(2), so that a test can kill it at any point of its life.
//
//   Tracee worker = Tracee(host).next_child().next_child();    // by way of the zygote
//   while (worker.reach_system_call()) if (--n == 0) worker.kill();
//
// To be used by the thread that made it only. What other threads of the process do is not seen.
#pragma once

#include <cstdint>
#include <string>
#include <sys/types.h>

namespace bulkhead::test {

/// Why this process may not trace others; empty if it may.
[[nodiscard]] std::string why_tracing_is_refused();

class Tracee {
 public:
  /// Attaches to a process of ours and stops it. Throws std::system_error if that is refused.
  explicit Tracee(pid_t pid);
  Tracee(Tracee&& other) noexcept;
  Tracee& operator=(Tracee&&) = delete;
  /// Lets it run free, if it still lives.
  ~Tracee();

  [[nodiscard]] bool has_ended() const { return pid_ == 0; }
  /// How it has ended: see waitpid(2).
  [[nodiscard]] int end_status() const { return end_status_; }

  /// On to the next entry to a system call or exit from one. False if it has ended.
  bool reach_system_call();
  /// On by so many instructions; a system call is one. False if it has ended.
  bool step(std::uint32_t instructions);
  /// On until it has forked, and lets it run free; the child has not begun yet. Throws if it ends
  /// before.
  [[nodiscard]] Tracee next_child() &&;
  /// On until it has forked, and holds it there. If it ends before, so has what is returned.
  [[nodiscard]] Tracee next_child_of_many();
  /// Kills it by SIGKILL where it stands, and waits until it is dead.
  void kill();

  /// Where it stands: "entry of system call 202", or an address.
  [[nodiscard]] std::string position() const;

 private:
  enum class Stop : std::uint8_t { system_call, step, child, end };

  Tracee() = default;
  Stop resume(int request);
  void wait_for_first_stop() const;

  pid_t pid_ = 0;           ///< 0: it has ended, or is no concern of ours any more
  int pending_signal_ = 0;  ///< to be delivered when it goes on
  int end_status_ = 0;
};

}  // namespace bulkhead::test
