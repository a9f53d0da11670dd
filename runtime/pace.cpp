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
/// Towards the end of a job tasks are kept back for workers that get done sooner, but not less work
/// at a time than it takes to wake one.
constexpr double kLeastNanoseconds = 50e3;
/// Of the first samples, which may include the waking of workers, the shortest counts.
constexpr int kEarlySamples = 8;
/// Weight of a new observation. Faster down than up: one disturbed measurement must not empty the
/// rings, and a window that is too large for a while does little harm.
constexpr double kWeightDown = 0.5;
constexpr double kWeightUp = 0.25;

}  // namespace

void Pace::observe(std::chrono::nanoseconds time, std::uint64_t tasks) {
  const auto busy = static_cast<double>(std::max(time, std::chrono::nanoseconds{0}).count());
  const double sample = busy / static_cast<double>(tasks);
  if (samples_ == 0 || (samples_ < kEarlySamples && sample < nanoseconds_)) {
    nanoseconds_ = sample;
    ++samples_;
    return;
  }
  samples_ = std::min(samples_ + 1, kEarlySamples);
  const double weight = sample < nanoseconds_ ? kWeightDown : kWeightUp;
  nanoseconds_ += weight * (sample - nanoseconds_);
}

std::uint64_t Pace::window(std::uint64_t unsent, std::uint64_t workers) const {
  if (!is_known() || nanoseconds_ >= kNoPrefetchNanoseconds) return 1;
  const auto filling = [this](double nanoseconds) {
    return static_cast<std::uint64_t>(std::min(nanoseconds / std::max(nanoseconds_, 1.0), 1e9));
  };
  // Towards the end of a job each worker gets no more than half of its fair share.
  const std::uint64_t share = unsent / (2 * std::max<std::uint64_t>(workers, 1)) + 1;
  const std::uint64_t most = std::max<std::uint64_t>({share, filling(kLeastNanoseconds), 2});
  return std::clamp<std::uint64_t>(filling(kWindowNanoseconds), 2, most);
}

}  // namespace bulkhead::detail
