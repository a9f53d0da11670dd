// SPDX-License-Identifier: MIT
//
// Kills workers of a service, now and then and at random, as long as it lives.
#pragma once

#include <atomic>
#include <cstdint>
#include <sys/types.h>
#include <thread>

namespace load {

class Killer {
 public:
  /// Of the pools of the process `service`, about `per_second`.
  Killer(pid_t service, double per_second);

  [[nodiscard]] std::uint64_t kills() const { return kills_; }

 private:
  std::atomic<std::uint64_t> kills_ = 0;
  std::jthread thread_;
};

}  // namespace load
