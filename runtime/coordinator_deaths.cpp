// SPDX-License-Identifier: MIT
//
// How workers go: what the zygote says of them, whom it costs what, and the end of all.
#include "runtime/coordinator.hpp"
#include "runtime/post_mortem.hpp"
#include "runtime/time.hpp"
#include "worker/host.hpp"
#include <bulkhead/error.hpp>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <utility>

namespace bulkhead::detail {
namespace {

using std::chrono::milliseconds;

/// From SIGTERM to SIGKILL, for a worker whose task must not go on.
constexpr milliseconds kGrace{1000};
/// A worker's memory is looked at no more often than this.
constexpr milliseconds kWeighing{10};
/// As many in a row are not a coincidence.
constexpr int kMostDeathsInDefinition = 5;

/// What the death costs, for the log.
std::string cost_of(const Slot::Corpse& corpse) {
  if (corpse.begun.empty()) return "";
  const Run& run = corpse.begun[0];
  const std::uint64_t element = run.job->job.element_of(run.tasks.first, corpse.link->element());
  return "; in task " + std::to_string(element);
}

std::string name_of(std::uint32_t number, int pid) {
  return "worker " + std::to_string(number) + ", process " + std::to_string(pid);
}

/// What a worker has left for that was told to, or has said that it would.
struct Departure {
  std::uint64_t Stats::Ends::*kind;
  const char* why;
};
Departure departure_of(const Slot::Corpse& corpse) {
  if (!corpse.has_place) return {&Stats::Ends::resized, "as its place in the pool is gone"};
  if (corpse.left) return {&Stats::Ends::idle, "as there was nothing to do"};
  if (corpse.worn_out) return {&Stats::Ends::recycled, "as it had grown more than it may"};
  return {&Stats::Ends::recycled, "as it had run as many tasks as it may"};
}

}  // namespace

/// False if it has ended.
bool Coordinator::hear_zygote() {
  last_control_check_ = Clock::now();
  ControlMessage message;
  while (zygote_) {
    const Received received = zygote_->receive(message);
    if (received != Received::message) return received != Received::closed;
    hear(message);
  }
  return true;
}

void Coordinator::require_zygote() {
  if (!hear_zygote()) throw SystemError("bulkhead: the zygote has ended before its time", ECHILD);
}

void Coordinator::hear(const ControlMessage& message) {
  if (spare_.link && message.epoch == spare_.epoch) return hear_of_spare(message);
  const auto fallen = std::find_if(fallen_.begin(), fallen_.end(), [&](const auto& corpse) {
    return corpse.epoch == message.epoch && message.kind == ControlKind::died;
  });
  if (fallen != fallen_.end()) {
    Slot::Corpse corpse = std::move(*fallen);
    fallen_.erase(fallen);
    return explain(std::move(corpse), message);
  }
  const auto found = std::find_if(slots_.begin(), slots_.end(), [&](const Slot& slot) {
    return slot.state() != Slot::State::vacant && slot.epoch() == message.epoch;
  });
  if (found == slots_.end()) return;
  Slot& slot = *found;
  switch (message.kind) {
    case ControlKind::started:
      slot.started(message.pid);
      return note_start(slot);
    case ControlKind::fork_failed:
      slot.bury();
      return note_refusal(message.value);
    case ControlKind::died:
      return note_death(slot, message);
    default:
      return;
  }
}

void Coordinator::note_death(Slot& slot, const ControlMessage& message) {
  slot.drain(Clock::now());
  after_drain(slot);
  if (!zygote_) return;  // given up meanwhile, and all slots are empty
  explain(clear_away(slot), message);
}

/// The kernel has told of it, the zygote has not yet. Who was to leave, or to be killed, or has
/// just begun, is looked after when all is known; so are all where there is a trace, which has the
/// end of one before the beginning of the next.
void Coordinator::see_death(std::uint64_t epoch) {
  hear_zygote();  // at least that the worker was forked
  const auto found = std::find_if(slots_.begin(), slots_.end(), [&](const Slot& slot) {
    return slot.state() == Slot::State::ready && slot.epoch() == epoch;
  });
  if (trace_ || found == slots_.end()) return;
  Slot& slot = *found;
  slot.drain(Clock::now());
  after_drain(slot);
  if (slot.state() != Slot::State::ready || slot.dismissed() || !slot.has_place()) return tidy();
  fallen_.push_back(clear_away(slot));
  replace_missing(Clock::now());
  tidy();
}

/// Of one that has been drained. The others, and the successor, go to work before it is found out
/// what happened: names of functions take time.
Slot::Corpse Coordinator::clear_away(Slot& slot) {
  Slot::Corpse corpse = slot.bury();
  if (corpse.starting || leaving_ || !slot.lacks_worker()) return corpse;
  promote_spare(slot);
  if (slot.alive()) {
    feed(slot, Clock::now());
    slot.publish();  // once, for each wakes
  }
  return corpse;
}

/// What it has left is unmapped later, when the successor has begun.
void Coordinator::explain(Slot::Corpse corpse, const ControlMessage& message) {
  const bool retired = corpse.dismissed && message.code == CLD_EXITED && message.value == 0;
  const Departure departure = departure_of(corpse);
  const FailureDetails blame = blame_for(message, corpse);
  std::string cause =
      message.code == CLD_EXITED ? cause_of_death(message, std::nullopt) : blame.message;
  if (!corpse.verdict.empty()) {
    cause = (corpse.overdue ? "" : "killed by the pool, as ") + corpse.verdict;
  }
  const std::string cost = cost_of(corpse);
  if (corpse.rebuilt && !retired) note_failed_rebuilding(*corpse.rebuilt, blame);
  tell_of_death(corpse, blame);
  using Ends = Stats::Ends;
  note_end(corpse,
           leaving_                                   ? &Ends::pool_ended
           : corpse.starting && corpse.has_place      ? &Ends::failed_start
           : retired || corpse.starting               ? departure.kind
           : blame.kind == FailureKind::out_of_memory ? &Ends::out_of_memory
           : corpse.kind == FailureKind::timed_out    ? &Ends::timed_out
           : corpse.kind == FailureKind::cancelled    ? &Ends::cancelled
           : !corpse.verdict.empty()                  ? &Ends::misconduct
                                                      : &Ends::crashed,
           cause);
  if (leaving_) return;
  unmapped_later_ = std::move(corpse.link);
  const std::string who = name_of(corpse.number, message.pid);
  if (corpse.starting && corpse.has_place) {
    note_failed_start(who, corpse.complained, cause);
  } else if (retired || corpse.starting) {
    log_.debug(who + ", has left, " + departure.why);
  } else {
    log_.warn(who + ", ended: " + cause + cost);
  }
  replace_missing(Clock::now());
  tidy();
}

FailureDetails Coordinator::blame_for(const ControlMessage& message,
                                      const Slot::Corpse& corpse) const {
  FailureDetails blame = crash_details(message, corpse.link->crash_report());
  if (message.oom_kills != 0 && blame.signal == SIGKILL) {
    blame.kind = FailureKind::out_of_memory;
    blame.message = out_of_memory_text(setup_.limits);
  }
  return blame;
}

/// A worker that threw in its initializer has said more than its death says.
void Coordinator::note_failed_start(const std::string& who, bool told, const std::string& cause) {
  restarts_.died_at_start();
  if (!told) {
    last_start_failure_ = "a worker died before it was ready" +
                          std::string(setup_.initializer ? ", in the initializer: " : ": ") + cause;
  }
  log_.error(who + ", did not start: " + last_start_failure_);
}

/// What the worker had begun fails as `blame` says.
void Coordinator::tell_of_death(const Slot::Corpse& corpse, FailureDetails blame) {
  if (corpse.kind != FailureKind::crashed) {
    const std::string how = blame.signal == 0         ? "it " + blame.message
                            : blame.signal == SIGKILL ? "ended by SIGKILL, after SIGTERM"
                            : blame.backtrace.empty() ? "ended by " + signal_name(blame.signal)
                                                      : "ended by " + blame.message;
    blame.kind = corpse.kind;
    blame.message = corpse.verdict + "; " + how;
  } else if (!corpse.verdict.empty()) {
    blame.message = "the worker was killed: " + corpse.verdict;
  }
  blame.worker_pid = corpse.pid;
  blame.output = corpse.output;
  trace_failures(corpse, blame.kind);
  for (const Run& run : corpse.begun) {
    for (std::uint64_t i = 0; i < run.tasks.count; ++i) {
      blame.task = run.tasks.first + i;
      run.job->fail(blame, corpse.link->element());
    }
  }
}

/// Workers without end must not die of the same state.
void Coordinator::note_failed_rebuilding(std::uint32_t callable, const FailureDetails& blame) {
  for (Entry* entry : jobs_) {
    if (entry->active.callable != callable || entry->done() || entry->ending) continue;
    if (++entry->active.deaths_in_definition < kMostDeathsInDefinition) continue;
    FailureDetails why = blame;
    why.message = std::to_string(kMostDeathsInDefinition) +
                  " workers in a row have died while they rebuilt the function object from the "
                  "bytes that were sent; the last one: " +
                  blame.message;
    entry->end(std::move(why));
  }
}

void Coordinator::after_drain(Slot& slot) {
  if (slot.take_ready()) {
    note_ready(slot);
    restarts_.succeeded();
    slot.killed_at.reset();
    if (slot.dismissed()) slot.killed_at = Clock::now() + kFinalizerTime;
    if (most_growth_) slot.weight.at_start = resident_bytes(slot.pid());
  }
  if (slot.has_left() && !slot.killed_at) slot.killed_at = Clock::now() + kFinalizerTime;
  if (slot.take_shortage() && keeps_much(slot)) slot.wear_out(setup_.fences);
  const std::string complaint = slot.take_complaint();
  if (!complaint.empty()) {
    if (slot.dismissed()) log_.error(complaint);
    last_start_failure_ = complaint;
  }
  if (!slot.take_doom()) return;
  const std::string who = "worker " + std::to_string(slot.number());
  if (slot.may_tidy_up()) {
    log_.warn(who + " is ended: " + slot.verdict());
    signal(slot, SIGTERM);
  } else {
    log_.error(who + " is killed: " + slot.verdict());
    signal(slot, SIGKILL);
  }
}

void Coordinator::signal(Slot& slot, int number) {
  slot.killed_at.reset();
  const int error = zygote_->request_signal(slot.epoch(), number);
  if (error == 0) {
    if (number == SIGTERM) slot.killed_at = Clock::now() + kGrace;
    return;
  }
  if (error == EAGAIN) {
    slot.unsent_signal = number;
    slot.killed_at = Clock::now() + kBusyZygote;
    return;
  }
  give_up(State::broken, FailureKind::not_run, "bulkhead: the zygote does not answer");
}

/// Has a worker that has grown too much take its leave.
void Coordinator::weigh(Slot& slot, Clock::time_point now) {
  if (slot.state() != Slot::State::ready || now - slot.weight.seen < kWeighing) return;
  slot.weight.seen = now;
  const std::uint64_t bytes = resident_bytes(slot.pid());
  if (slot.weight.at_start == 0) slot.weight.at_start = bytes;
  if (bytes > slot.weight.at_start && bytes - slot.weight.at_start > *most_growth_)
    slot.wear_out(setup_.fences);
}

/// After a task that ran out of memory: it is not to fail the next ones for what that has left
/// behind.
bool Coordinator::keeps_much(const Slot& slot) const {
  return setup_.limits.memory && resident_bytes(slot.pid()) > *setup_.limits.memory / 2;
}

void Coordinator::retire(Slot& slot) {
  slot.dismiss();
  // Time for the initializer comes first, if it is not through.
  if (slot.state() == Slot::State::ready) slot.killed_at = Clock::now() + kFinalizerTime;
}

/// Ends all processes, and all jobs with the given reason.
void Coordinator::give_up(State state, FailureKind kind, std::string why) {
  state_ = state;
  cause_ = std::move(why);
  leaving_ = true;
  zygote_.reset();
  spare_ = {};
  unmapped_later_.reset();
  abandon_jobs(kind);
  FailureDetails blame;
  blame.kind = kind == FailureKind::not_run ? FailureKind::crashed : kind;
  blame.message = "its worker has died, and it is not known of what: " + cause_;
  for (const Slot::Corpse& corpse : std::exchange(fallen_, {})) {
    tell_of_death(corpse, blame);
    note_end(corpse, &Stats::Ends::crashed, cause_);
    log_.warn(name_of(corpse.number, corpse.pid) + ", has died, and it is not known of what");
  }
  blame.message = "the worker was killed: " + cause_;
  blame.signal = SIGKILL;
  for (Slot& slot : slots_) {
    if (slot.state() == Slot::State::vacant) continue;
    const Slot::Corpse corpse = slot.bury();
    tell_of_death(corpse, blame);
    note_end(corpse, &Stats::Ends::pool_ended, cause_);
  }
  finish_calls();
  if (state == State::broken) log_.error(cause_);
  own_bell_.ring();
  changed_.notify_all();
}

}  // namespace bulkhead::detail
