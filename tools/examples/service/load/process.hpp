// SPDX-License-Identifier: MIT
//
// The service as a child process, and what the kernel says of it.
#pragma once

#include <cstdint>
#include <string>
#include <sys/types.h>
#include <vector>

namespace load {

/// What a process has, its descendants aside.
struct Footprint {
  long descriptors = 0;
  long threads = 0;
  long descendants = 0;
  long resident_kib = 0;

  /// But for memory.
  [[nodiscard]] bool same_as(const Footprint& other) const {
    return descriptors == other.descriptors && threads == other.threads &&
           descendants == other.descendants;
  }
};

[[nodiscard]] Footprint footprint(pid_t pid);
[[nodiscard]] std::string to_string(const Footprint& footprint);
/// Children, their children, and so on.
[[nodiscard]] std::vector<pid_t> descendants(pid_t pid);
/// A descriptor of the process; negative if there is none. (The C library of Debian 12 has no
/// functions for it that C++ could call.)
[[nodiscard]] int open_pidfd(pid_t pid);
/// As in /proc/PID/comm; empty if there is no such process.
[[nodiscard]] std::string name_of(pid_t pid);

class ServiceProcess {
 public:
  /// Starts it and waits until it listens. Throws std::runtime_error if it does not. It ends with
  /// this thread.
  ServiceProcess(const std::string& program, const std::vector<std::string>& arguments);
  ServiceProcess(const ServiceProcess&) = delete;
  ServiceProcess& operator=(const ServiceProcess&) = delete;
  /// Kills it, if wait() has not been called.
  ~ServiceProcess();

  [[nodiscard]] pid_t pid() const { return pid_; }
  [[nodiscard]] std::uint16_t port() const { return port_; }
  void ask_to_end() const;
  /// Its exit code; -1 if it was killed, or does not end within half a minute.
  int wait();

 private:
  pid_t pid_ = -1;
  std::uint16_t port_ = 0;
};

}  // namespace load
