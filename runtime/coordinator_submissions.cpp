// SPDX-License-Identifier: MIT
//
// Calls of functions that are submitted one by one (apply_async): those of one function with the
// same options are one job, with a result of its own for each task. It ends when there are none, as
// code that has ended its calls may be unloaded.
#include "runtime/coordinator.hpp"
#include <bulkhead/detail/intake.hpp>

#include <utility>

namespace bulkhead::detail {

std::shared_ptr<RunningCall> Coordinator::submit(
    const SubmissionKey& key, const std::function<std::shared_ptr<SubmittedCalls>()>& make,
    Submission call, std::optional<Clock::time_point> room_until) {
  require_owner(owner_);
  Lock lock = enter();
  require_open(state_, cause_);
  if (room_until && !await_room(lock, *room_until)) return nullptr;
  const Inside inside(inside_);
  start_helper();
  const auto found = functions_.find(key);
  const auto calls = found != functions_.end() ? found->second : begin_function(key, make());
  const Expected& result = *call.result;
  const std::uint64_t task = calls->calls->add(std::move(call));
  call_driver();
  return std::make_shared<Submitted>(weak_from_this(), calls, result, task);
}

/// There is, or there will not be any more calls.
class Coordinator::Room final : public Awaited {
 public:
  Room(const Coordinator& engine, bool counts_untold)
      : engine_(engine), counts_untold_(counts_untold) {}
  [[nodiscard]] bool ready() const override {
    return engine_.state_ != State::open || engine_.has_room(counts_untold_);
  }

 private:
  const Coordinator& engine_;
  const bool counts_untold_;
};

/// Results that are to be told of count too, unless it is the waiting thread that tells, or may be
/// the one that runs the event loop.
bool Coordinator::has_room(bool counts_untold) const {
  SubmittedCalls::Load all;
  if (counts_untold) all.calls = ended_.size();
  for (const auto& [key, function] : functions_) {
    const SubmittedCalls::Load load = function->calls->load();
    all.calls += load.calls;
    all.bytes += load.bytes;
  }
  return all.calls < most_in_flight_ && (all.calls == 0 || all.bytes < Intake::kMostBytes);
}

bool Coordinator::await_room(Lock& lock, Clock::time_point until) {
  while (tells_itself() && attend(lock)) {
  }
  const bool asks_only = until == Clock::time_point::min();
  const bool others_tell =
      !tells_itself() && teller_ != std::this_thread::get_id() && (!loop_ || asks_only);
  const Room room(*this, others_tell);
  // Who only asks finds what the last poll() has left: to drive here would wake the loop each time.
  if (!loop_ || !asks_only) {
    ++waiting_on_teller_;
    await(lock, room, until);
    --waiting_on_teller_;
  }
  if (!room.ready()) return false;
  require_open(state_, cause_);
  return true;
}

std::shared_ptr<Coordinator::Function> Coordinator::begin_function(
    const SubmissionKey& key, std::shared_ptr<SubmittedCalls> calls) {
  const auto function = std::make_shared<Function>(std::move(calls));
  prepare(*function, *function->calls);
  functions_.emplace(key, function);
  begin(*function->entry);
  untidy_ = true;  // if nothing comes of the call, it is over
  return function;
}

void Coordinator::finish_submitted() {
  std::vector<std::shared_ptr<Expected>> ended;
  for (auto at = functions_.begin(); at != functions_.end();) {
    Function& function = *at->second;
    const bool is_over = function.entry->done() || function.calls->idle();
    if (is_over) function.calls->finish(finish(*function.entry), nullptr);
    function.calls->take_ended(ended);
    at = is_over ? functions_.erase(at) : std::next(at);
  }
  for (auto& result : ended) {
    if (!result->concerns_nobody()) ended_.push_back({std::move(result)});
  }
}

void Coordinator::cancel(Function& function, std::uint64_t task) {
  const Inside inside(inside_);
  function.calls->spoil(task);
  function.entry->active.end_attempts(task);  // it would take room until then
  bool is_out = false;
  for (Slot& slot : slots_) {
    if (!slot.abandon(function.entry->active, task, "the call was cancelled", Clock::now(),
                      setup_.fences)) {
      continue;
    }
    after_drain(slot);
    if (!zygote_) return;  // given up meanwhile, this call with all others
    is_out |= slot.holds(function.entry->active, task);
  }
  if (!is_out) function.calls->cancel(task);
  finish_calls();
  untidy_ = true;
  call_driver();
}

void Coordinator::Submitted::wait_for(const Awaited& goal, std::optional<Time> until) {
  Visit visit(pool_);
  if (visit) visit->await(visit.lock(), goal, until);
}

bool Coordinator::Submitted::wait_for_teller(const Awaited& told, std::optional<Time> until) {
  Visit visit(pool_);
  return !visit || visit->await_told(visit.lock(), told, until);
}

void Coordinator::Submitted::cancel() {
  const Visit visit(pool_);
  if (visit && !result_.ready()) visit->cancel(*function_, task_);
}

void Coordinator::Submitted::tell_again(std::shared_ptr<Expected> again) {
  const std::shared_ptr<Coordinator> engine = pool_.lock();
  if (engine) return engine->tell_again(std::move(again));
  while (again->tell()) {
  }
}

}  // namespace bulkhead::detail
