// SPDX-License-Identifier: MIT
//
// Intake: how many elements of a stream may be drawn now, and how often its workers are to be
// looked after while results are at hand. Plain state, one thread at a time.
//
// Elements are drawn when the workers could be given them, and no more than `buffersize` before
// their results have been taken. Drawing goes in steps that take about as long as one waits
// gladly, as results that have come are not taken, and workers not fed, meanwhile.
#pragma once

#include <bulkhead/options.hpp>

#include <chrono>
#include <cstdint>

namespace bulkhead::detail {

class Intake {
 public:
  using Clock = std::chrono::steady_clock;

  static constexpr std::uint64_t kDefaultBuffer = 1 << 14;
  /// Elements and results, as they are encoded.
  static constexpr std::uint64_t kMostBytes = std::uint64_t{64} << 20;
  /// Elements are encoded before they are counted: not more at a time.
  static constexpr std::uint64_t kMostStepBytes = std::uint64_t{256} << 10;

  explicit Intake(const CallOptions& options)
      : buffer_(options.buffersize.value_or(kDefaultBuffer)) {}

  /// Elements that may be drawn if the workers could be given all up to `asked`, and `bytes` are
  /// kept already.
  [[nodiscard]] std::uint64_t room(std::uint64_t asked, std::uint64_t bytes) const;
  /// So many were drawn, and it took so long.
  void note_drawn(std::uint64_t count, Clock::duration time);
  /// A result was taken.
  void note_taken() { ++taken_; }
  /// Asked before a result is taken that is there already. True: workers are to be looked after,
  /// which is done now.
  bool time_to_look() {
    if (--until_look_ != 0) return false;
    note_look(Clock::now());
    return true;
  }

 private:
  void note_look(Clock::time_point now);

  std::uint64_t buffer_;
  std::uint64_t drawn_ = 0;
  std::uint64_t taken_ = 0;
  std::uint64_t step_ = 1;
  std::uint64_t between_looks_ = 1;
  std::uint64_t until_look_ = 1;
  Clock::time_point looked_{};
};

}  // namespace bulkhead::detail
