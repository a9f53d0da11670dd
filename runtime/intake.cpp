// SPDX-License-Identifier: MIT
#include <bulkhead/detail/intake.hpp>

#include <algorithm>

namespace bulkhead::detail {
namespace {

using std::chrono::microseconds;

constexpr microseconds kShortStep{20};
constexpr microseconds kLongStep{100};
constexpr std::uint64_t kMostAtOnce = 4096;
constexpr microseconds kShortPause{50};
constexpr microseconds kLongPause{200};

}  // namespace

std::uint64_t Intake::room(std::uint64_t asked, std::uint64_t bytes) const {
  const std::uint64_t outstanding = drawn_ - taken_;
  if (asked <= drawn_ || outstanding >= buffer_) return 0;
  if (bytes >= kMostBytes && outstanding != 0) return 0;
  return std::min({asked - drawn_, buffer_ - outstanding, step_});
}

void Intake::note_drawn(std::uint64_t count, Clock::duration time) {
  drawn_ += count;
  if (time < kShortStep) step_ = std::min(2 * step_, kMostAtOnce);
  if (time > kLongStep) step_ = std::max<std::uint64_t>(step_ / 2, 1);
}

void Intake::note_look(Clock::time_point now) {
  const auto pause = now - looked_;
  looked_ = now;
  if (pause < kShortPause) between_looks_ = std::min(2 * between_looks_, kMostAtOnce);
  if (pause > kLongPause) between_looks_ = std::max<std::uint64_t>(between_looks_ / 2, 1);
  until_look_ = between_looks_;
}

}  // namespace bulkhead::detail
