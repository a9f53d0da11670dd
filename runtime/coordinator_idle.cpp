// SPDX-License-Identifier: MIT
//
// Work for workers that have nothing to do, and that others have too much of: tasks that wait
// behind long ones, and what is left of tasks that can be divided.
#include "runtime/coordinator.hpp"

#include <algorithm>
#include <cstddef>

namespace bulkhead::detail {
namespace {

using std::chrono::milliseconds;

/// A task that would go on for so long is worth dividing.
constexpr milliseconds kWorthDividing{20};
/// One that can end early does so after this time: what it has done is safe then.
constexpr milliseconds kLongTask{1000};

}  // namespace

/// Tasks that wait behind a long one, for `least` or more as it seems, go to whoever has nothing to
/// do. True if there were any.
bool Coordinator::help_the_idle(std::chrono::nanoseconds least) {
  const bool idle =
      std::any_of(slots_.begin(), slots_.end(), [](const Slot& s) { return s.idle(); });
  bool any = false;
  for (Slot& slot : slots_) {
    if (!idle || !slot.has_waiting() || slot.waiting() < least) continue;
    any |= slot.revoke_waiting(setup_.fences);
  }
  return any;
}

/// Tasks that can leave a part of what they do to others are told to: for workers that have nothing
/// to do, those that would go on longest; and those that have taken long.
void Coordinator::divide_tasks() {
  const auto now = Clock::now();
  std::ptrdiff_t wanted = 0;
  for (Slot& slot : slots_) {
    wanted += slot.idle() ? 1 : 0;
    wanted -= slot.ends_early() ? 1 : 0;
    const bool is_long = slot.alive() && now - slot.running_since() > kLongTask;
    if (is_long && slot.time_to_share(now) > std::chrono::nanoseconds{}) slot.end_early();
  }
  for (; wanted > 0; --wanted) {
    const auto longest = std::ranges::max_element(
        slots_, {}, [now](const Slot& slot) { return slot.time_to_share(now); });
    if (longest->time_to_share(now) < kWorthDividing) return;
    longest->end_early();
  }
}

}  // namespace bulkhead::detail
