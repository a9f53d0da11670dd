// SPDX-License-Identifier: MIT
//
// Calls that get on while somebody pulls: elements come and results leave in small lots, whenever
// the thread that reads the stream has the mutex. Nobody else looks after them, unless it drives
// for a call of its own.
#include "runtime/coordinator.hpp"
#include "runtime/options.hpp"

#include <algorithm>
#include <utility>

namespace bulkhead::detail {

std::shared_ptr<Pull> Coordinator::open(std::shared_ptr<PulledCall> call) {
  require_owner(owner_);
  require_sensible(call->options());
  const Lock lock = enter();
  require_open(state_, cause_);
  const auto pulled = std::make_shared<Pulled>(weak_from_this(), std::move(call));
  const Inside inside(inside_);
  prepare(*pulled, pulled->call);
  pulled->entry->thread = std::this_thread::get_id();
  pulled->entry->pulled = &pulled->call;
  pulled_.push_back(pulled);
  begin(*pulled->entry);
  return pulled;
}

void Coordinator::finish_pulled() {
  for (auto at = pulled_.begin(); at != pulled_.end();) {
    Pulled& pulled = **at;
    if (!pulled.entry->done()) {
      ++at;
      continue;
    }
    const std::shared_ptr<PulledCall> call = std::move(pulled.kept);
    call->finish(finish(*pulled.entry), nullptr);
    pulled.wake.reset();
    at = pulled_.erase(at);
  }
}

void Coordinator::Pulled::exchange(std::optional<Time> until) {
  Visit pool(engine);
  if (!pool) return call.take();
  pool->pull(pool.lock(), *this, until);
}

void Coordinator::Pulled::tend() {
  Visit pool(engine);
  if (!pool) return call.take();
  pool->tend(pool.lock(), *this);
}

void Coordinator::Pulled::cancel() {
  const Visit pool(engine);
  if (pool) pool->end(*this, "the call was cancelled");
}

void Coordinator::end(Pulled& call, const char* message) {
  if (!call.kept || call.entry->ending) return;
  call.entry->cancel(message);
  untidy_ = true;
  if (driving_) own_bell_.ring();
}

/// One pass, so that the workers get what there is.
void Coordinator::tend(Lock& lock, Pulled& call) {
  {
    const Inside inside(inside_);
    call.call.give();
  }
  call.entry->thread = std::this_thread::get_id();
  if (driving_) {
    own_bell_.ring();
  } else if (call.kept) {
    drive(lock, {.awaited = &*call.entry, .is_glance = true});
  }
  // The end of its range, or a stop, may be all that has happened.
  const Inside inside(inside_);
  if (call.kept && call.entry->done()) finish_calls();
  call.call.take();
}

void Coordinator::pull(Lock& lock, Pulled& call, std::optional<Clock::time_point> until) {
  tend(lock, call);
  Entry& entry = *call.entry;
  while (call.kept && !entry.ready() && (!until || Clock::now() < *until)) {
    const auto soon = Clock::now() + kProgressInterval;
    const auto next = until ? std::min(*until, soon) : soon;
    if (driving_) {
      sleep_until(lock, &entry, next);
    } else {
      drive(lock, {&entry, next});
    }
    if (call.kept && entry.done()) finish_calls();
    tell_progress(lock, call);
  }
  if (!call.kept) tell_progress(lock, call);
  if (!driving_) changed_.notify_all();  // whoever left it to us
  const Inside inside(inside_);
  call.call.take();
}

void Coordinator::tell_progress(Lock& lock, Pulled& call) {
  const bool last = call.kept == nullptr;
  if (call.told_end) return;
  call.told_end = last;
  try {
    report_progress(lock, *call.entry, last);
  } catch (...) {
    call.told_end = true;
    end(call, "its progress function threw");
    throw;
  }
}

}  // namespace bulkhead::detail
