// SPDX-License-Identifier: MIT
#include <bulkhead/detail/block_size.hpp>

#include <algorithm>
#include <bit>

namespace bulkhead::detail {
namespace {

/// Long against what it takes to send a block, short against a person's notice.
constexpr double kNanoseconds = 1e6;
/// At the end blocks become smaller, so that workers are done at the same time, but not smaller
/// than it takes to wake one.
constexpr double kLeastNanoseconds = 50e3;
/// So that some have room in a ring of the usual size, each in one piece.
constexpr double kBytes = 128 << 10;
constexpr double kMostElements = 1 << 20;
/// Of a new observation.
constexpr double kWeight = 0.5;

void observe(double& average, double sample) {
  average = average == 0 ? sample : average + kWeight * (sample - average);
}

std::uint64_t whole_power(double elements) {
  return std::bit_floor(static_cast<std::uint64_t>(std::clamp(elements, 1.0, kMostElements)));
}

}  // namespace

void BlockSize::observe_time(std::chrono::nanoseconds time, std::uint64_t elements) {
  observe(nanoseconds_, static_cast<double>(std::max<std::int64_t>(time.count(), 1)) /
                            static_cast<double>(elements));
}

void BlockSize::observe_bytes(std::uint64_t bytes, std::uint64_t elements) {
  observe(bytes_, static_cast<double>(bytes) / static_cast<double>(elements));
}

std::uint64_t BlockSize::next(std::optional<std::uint64_t> left, int workers) const {
  if (nanoseconds_ == 0) return 1;
  double elements = kNanoseconds / nanoseconds_;
  if (left) {
    const double share = static_cast<double>(*left) / (2.0 * workers);
    elements = std::min(elements, std::max(share, kLeastNanoseconds / nanoseconds_));
  }
  if (bytes_ != 0) elements = std::min(elements, kBytes / bytes_);
  return whole_power(elements);
}

}  // namespace bulkhead::detail
