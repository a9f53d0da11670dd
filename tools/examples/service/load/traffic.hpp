// SPDX-License-Identifier: MIT
//
// Requests over several connections, each with an answer that is known before.
#pragma once

#include "picture.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace load {

struct Plan {
  std::uint16_t port = 0;
  int connections = 8;
  std::uint64_t requests = 0;
  double per_second = 0;  ///< when they are due; 0: each when its connection has its last answer
  bool with_doomed = false;
  /// Called when so many have been answered.
  std::uint64_t milestone = 0;
  std::function<void()> at_milestone = nullptr;
};

struct Findings {
  std::uint64_t answered = 0;
  std::uint64_t doomed = 0;      ///< of those, requests that kill their worker
  std::uint64_t wrong = 0;       ///< of those, not answered as they should have been
  std::uint64_t unanswered = 0;  ///< the connection broke, or stayed silent
  std::uint64_t farewells = 0;   ///< connections that the service has closed after an answer
  std::string first_trouble;
  std::vector<double> milliseconds;  ///< of those that are not doomed, from when they were due
  std::chrono::duration<double> took{};

  /// The time within which that share of them was answered.
  [[nodiscard]] double quantile(double share) const;
};

/// Of 1,000 requests 20 are no images, and five, if that is asked for, crash.
Findings send(const Plan& plan, const std::vector<Sample>& samples);

}  // namespace load
