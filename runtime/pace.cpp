// SPDX-License-Identifier: MIT
#include "runtime/pace.hpp"

#include <algorithm>

namespace bulkhead::detail {
namespace {

/// Work that may wait at one worker: long against a wake-up (some 50 us), short against a person's
/// notice.
constexpr double kWindowNanoseconds = 2e6;
/// One task waits behind the running one if tasks are shorter than this, so that the worker does
/// not stand idle for a round trip; behind longer ones nothing waits, as nothing may wait for long.
constexpr double kNoPrefetchNanoseconds = 20e6;
/// Weight of a new observation. Faster down than up: one disturbed measurement must not empty the
/// rings, and a window that is too large for a while does little harm.
constexpr double kWeightDown = 0.5;
constexpr double kWeightUp = 0.25;

}  // namespace

void Pace::observe(std::chrono::nanoseconds time, std::uint64_t tasks) {
  const double sample = static_cast<double>(time.count()) / static_cast<double>(tasks);
  if (!known_) {
    nanoseconds_ = sample;
    known_ = true;
    return;
  }
  const double weight = sample < nanoseconds_ ? kWeightDown : kWeightUp;
  nanoseconds_ += weight * (sample - nanoseconds_);
}

std::uint64_t Pace::window(std::uint64_t unsent, std::uint64_t workers) const {
  if (!known_ || nanoseconds_ >= kNoPrefetchNanoseconds) return 1;
  const double by_time = kWindowNanoseconds / std::max(nanoseconds_, 1.0);
  // Towards the end of a job each worker gets no more than half of its fair share.
  const std::uint64_t share = unsent / (2 * std::max<std::uint64_t>(workers, 1)) + 1;
  const auto window = static_cast<std::uint64_t>(std::min(by_time, 1e9));
  return std::clamp<std::uint64_t>(window, 2, std::max<std::uint64_t>(share, 2));
}

}  // namespace bulkhead::detail
