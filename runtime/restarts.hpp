// SPDX-License-Identifier: MIT
//
// Restarts: whether and when a worker that is gone is replaced. A worker that dies in a task is
// replaced at once, always; one that dies before it is ready, or cannot be forked, must not lead to
// a storm. Plain state, time is given; one thread at a time.
#pragma once

#include <algorithm>
#include <chrono>

namespace bulkhead::detail {

class Restarts {
 public:
  using Time = std::chrono::steady_clock::time_point;

  explicit Restarts(int workers) : limit_(2 * workers) {}

  /// The pool has so many workers from now on.
  void resize(int workers) { limit_ = 2 * workers; }

  /// A worker became ready.
  void succeeded();
  /// A worker died before it was ready.
  void died_at_start() { ++start_deaths_; }
  /// The system refused to fork. `alone`: no worker is left that could do the work meanwhile.
  void refused(Time now, bool alone);

  /// None can be asked for before then, which is nobody's fault.
  void put_off(Time until) { not_before_ = std::max(not_before_, until); }

  /// False once too many have died at start in a row: no more are made.
  [[nodiscard]] bool allowed() const { return start_deaths_ < limit_; }
  /// True once a pool without workers will not get any.
  [[nodiscard]] bool hopeless() const { return !allowed() || refused_alone_ >= kMaxRefusals; }
  /// No worker may be asked for before this time.
  [[nodiscard]] Time not_before() const { return not_before_; }

 private:
  static constexpr int kMaxRefusals = 10;
  static constexpr int kMostDoublings = 7;
  static constexpr std::chrono::milliseconds kFirstPause{10};

  int limit_;
  int start_deaths_ = 0;
  int refusals_ = 0;
  int refused_alone_ = 0;
  Time not_before_{};
};

}  // namespace bulkhead::detail
