// SPDX-License-Identifier: MIT
//
// The tormentor: a thread that kills workers of a pool, and stops and continues them, at moments
// that are counted in attempts that begin.
#pragma once

#include "tests/chaos/call.hpp"
#include "tests/support/process.hpp"

#include <cstdint>
#include <optional>
#include <stop_token>
#include <sys/types.h>
#include <thread>

namespace bulkhead::chaos {

class Tormentor {
 public:
  /// Of the pool of `zygote`, until that ends.
  Tormentor(pid_t zygote, std::uint64_t seed);
  Tormentor(const Tormentor&) = delete;
  Tormentor& operator=(const Tormentor&) = delete;
  ~Tormentor() = default;

  /// Ends it; nobody is left stopped.
  void end();
  [[nodiscard]] std::uint64_t kills() const { return kills_; }
  [[nodiscard]] std::uint64_t stops() const { return stops_; }

 private:
  void torment(const std::stop_token& told_to_end);
  void kill(const test::Process& process);
  void stop_for_a_while(const test::Process& process);
  [[nodiscard]] std::optional<test::Process> some_worker();

  const test::Process zygote_;
  Random random_;
  std::uint64_t kills_ = 0;
  std::uint64_t stops_ = 0;
  std::jthread thread_;
};

}  // namespace bulkhead::chaos
