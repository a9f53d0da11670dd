// SPDX-License-Identifier: MIT
//
// Spin: looking at memory for a short while before going to sleep. Waking a sleeper on another core
// costs tens of microseconds, seeing a store of another core a tenth of one; so where a core is to
// spare it pays to look for about as long as a wake costs. Where none is, it is ruinous: whether
// there is one is the caller's to know. Each process has its own; one thread.
#pragma once

#include <chrono>
#include <cstdint>

namespace bulkhead::detail {

class Spin {
 public:
  /// Looks until `ready()`, for the time that a wake costs at the most. False if it did not become
  /// so. After looks in vain it gives up sooner: the next ones are left out, up to 63 of them.
  /// `now` is the time, and in the end when it has looked at the clock last.
  template <class Ready>
  bool until(Ready ready, std::chrono::steady_clock::time_point& now) {
    if (skip_ != 0) {
      --skip_;
      return false;
    }
    const auto end = now + kWakeCost;
    do {
      for (int i = 0; i < kLooksPerClock; ++i) {
        if (ready()) {
          misses_ = 0;
          return true;
        }
        relax();
      }
      now = std::chrono::steady_clock::now();
    } while (now < end);
    if (misses_ < kMostMisses) ++misses_;
    skip_ = (1U << misses_) - 1;
    return false;
  }
  template <class Ready>
  bool until(Ready ready) {
    std::chrono::steady_clock::time_point now{};
    if (skip_ == 0) now = std::chrono::steady_clock::now();
    return until(ready, now);
  }

 private:
  static constexpr std::chrono::microseconds kWakeCost{50};
  static constexpr int kLooksPerClock = 16;
  static constexpr unsigned kMostMisses = 6;

  static void relax() {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
  }

  unsigned misses_ = 0;     ///< looks in vain, in a row
  std::uint32_t skip_ = 0;  ///< looks to leave out
};

}  // namespace bulkhead::detail
