// SPDX-License-Identifier: MIT
//
// A pool that an event loop of the host's looks after: instead of sleeping, who drives leaves the
// bells armed, says when time is up, and returns.
#include "runtime/coordinator.hpp"

#include <algorithm>

namespace bulkhead::detail {
namespace {

using std::chrono::milliseconds;

/// The loop has others to look after.
constexpr milliseconds kLongestPoll{2};

}  // namespace

int Coordinator::native_handle() {
  require_owner(owner_);
  const Lock lock = enter();
  begin_polling();
  return loop_->fd();
}

void Coordinator::begin_polling() {
  if (loop_) return;
  loop_.emplace(*events_);
  loop_->call();
  if (driving_) own_bell_.ring();  // it may be the helper
}

void Coordinator::poll() {
  require_owner(owner_);
  Lock lock = enter();
  begin_polling();
  const bool time_has_come = loop_->take();
  if (!driving_) look_after(lock, time_has_come);
  // Those that are added by callbacks have their turn when the loop has had its own.
  for (std::size_t left = ended_.size(); left != 0 && attend(lock); --left) {
  }
  for (std::size_t left = background_.size(); left != 0 && report_due() && attend(lock); --left) {
  }
  if (!ended_.empty() && teller_ == std::thread::id{}) loop_->call();
}

void Coordinator::look_after(Lock& lock, bool time_has_come) {
  polling_ = true;
  driving([&] {
    heed(events_->wait(milliseconds{0}), time_has_come);
    const auto end = Clock::now() + kLongestPoll;
    bool gets_on = true;
    for (auto now = Clock::now(); gets_on && now < end;) {
      now = look_around(lock, gets_on);
      gets_on = pass(now);
    }
    leave_to_loop(gets_on);
  });
  polling_ = false;
}

void Coordinator::leave_to_loop(bool gets_on) {
  loop_->watch_events();
  if (jobs_.empty()) keep_spare_after_call();
  const bool waits = goes_on_alone() || std::any_of(slots_.begin(), slots_.end(), [](Slot& slot) {
                       return slot.load() != 0 || slot.killed_at.has_value();
                     });
  if (gets_on || (waits && (finds_more() || arm_bells()))) loop_->call();
  loop_->call_after(waits ? std::optional(patience()) : std::nullopt);
}

}  // namespace bulkhead::detail
