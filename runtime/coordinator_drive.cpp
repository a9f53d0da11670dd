// SPDX-License-Identifier: MIT
//
// The loop that whoever waits runs: pass and park.
#include "runtime/coordinator.hpp"
#include "runtime/time.hpp"

#include <algorithm>
#include <csignal>
#include <limits>
#include <utility>

namespace bulkhead::detail {
namespace {

using std::chrono::milliseconds;

/// Workers that are to ring when half of their tasks are done are given this long for it.
constexpr milliseconds kStall{4};
/// An idle worker waits this long before tasks that wait behind others are taken for it.
constexpr milliseconds kIdleStall{1};
/// Deaths, and answers of workers that are far from done with what they have, are noticed at the
/// latest after this time, however busy the coordinator is.
constexpr milliseconds kControlInterval{2};
/// Work that waits at one worker and is worth the trouble of taking it back, if another has none:
/// some wake-ups long.
constexpr std::chrono::microseconds kWorthTaking{200};
/// Others are looked after at the latest after this time while a large value is being copied.
constexpr milliseconds kStreamTime{2};
/// Tasks of a stream that a worker is given, if there are any.
constexpr std::uint64_t kLeastOfStream = 2;
/// Tasks that wait at a worker and are traced: fewer than it has records for.
constexpr std::uint64_t kMostTraced = kTraceRecords / 4;
/// If this much waits, tasks have become longer since they were given out.
constexpr milliseconds kTooMuch{8};
/// While a worker is idle, tasks that could be divided are looked at as often.
constexpr milliseconds kShareStall{10};

}  // namespace

bool Coordinator::reached(const Goal& goal) const {
  if (goal.is_glance) return false;
  if (goal.awaited != nullptr) return goal.awaited->ready();
  return !goes_on_alone() ||
         (goal.is_helpers && (loop_ || !ended_.empty() || !waiters_.empty() || report_due()));
}

void Coordinator::drive(Lock& lock, const Goal& goal) {
  driving([&] {
    bool gets_on = true;
    while (!reached(goal)) {
      const auto now = look_around(lock, gets_on);
      if (reached(goal)) break;
      gets_on = pass(now);
      if (goal.is_glance) break;
      if (!gets_on && !reached(goal)) {
        const auto left = goal.until.value_or(now + kBelt) - now;
        park(lock, std::clamp(std::chrono::ceil<milliseconds>(left), milliseconds{1}, kBelt));
      }
      if (goal.until && Clock::now() >= *goal.until) break;
    }
    keep_spare_after_call();
    if (!loop_) return;
    loop_->watch_events();
    if (goes_on_alone() || !ended_.empty()) loop_->call();
  });
}

/// Before a pass: steps back for others, and looks at what is not in the rings.
Coordinator::Clock::time_point Coordinator::look_around(Lock& lock, bool gets_on) {
  yield_to_others(lock, gets_on);
  drop_places();
  auto now = Clock::now();
  if (now - last_control_check_ >= kControlInterval) {
    hear_zygote();
    hear_workers();
    keep_spare(now);
    keep_time(now);
    now = Clock::now();
  }
  if (untidy_) tidy();
  return now;
}

bool Coordinator::pass(Clock::time_point now) {
  const auto end = now + kStreamTime;
  look_at_all_ = impatient_ || now - last_look_at_all_ >= kControlInterval;
  if (look_at_all_) last_look_at_all_ = now;
  bool progress = false;
  const std::size_t count = slots_.size();
  const std::size_t first = first_to_stream_;
  for (std::size_t i = first; i < first + count; ++i) {
    Slot& slot = slots_[i % count];
    progress |= serve(slot, now);
    if (!stream(slot, now, end)) continue;
    progress = true;
    now = Clock::now();
    first_to_stream_ = (i + 1) % count;
  }
  progress |= recall(now);
  if (progress) {
    impatient_ = false;
    tidy();
  }
  take_turns();
  return progress;
}

/// True if there are calls of several priorities.
bool Coordinator::is_ranked() const {
  return !jobs_.empty() && jobs_.front()->active.priority != jobs_.back()->active.priority;
}

/// Of the jobs of one priority each is served first in its turn.
void Coordinator::take_turns() {
  for (auto first = jobs_.begin(); first != jobs_.end();) {
    const int priority = (*first)->options.priority;
    const auto end =
        is_ranked()
            ? std::find_if(first, jobs_.end(),
                           [&](const Entry* entry) { return entry->options.priority != priority; })
            : jobs_.end();
    jobs_.splice(end, jobs_, first);
    first = end;
  }
}

bool Coordinator::serve(Slot& slot, Clock::time_point now) {
  const bool news = look_at_all_ || slot.has_got_on();
  const bool drained = news && slot.drain(now);
  if (drained) {
    after_drain(slot);
    if (most_growth_) weigh(slot, now);
    if (slot.spent()) retire(slot);
  }
  const bool fed = feed(slot, now);
  if (slot.alive() && (drained || fed)) {
    slot.link().allow_spinning(spare_cpu());
    slot.publish();
  } else if (slot.alive() && news) {
    slot.link().aim_bell();  // it got on, though with nothing that can be taken in
  }
  // One behind the running one is what a window allows (see Pace), however long they are.
  const bool too_much =
      drained && slot.load() > 2 && slot.has_waiting() && slot.waiting() > kTooMuch;
  if (too_much && slots_.size() > 1) slot.revoke_waiting(setup_.fences);
  return drained || fed;
}

/// Stays with a worker, until `end`, while a value comes or leaves in pieces and it keeps up. This
/// thread can copy only one value at a time, and that takes two CPUs, its own and the worker's:
/// more workers at it would only take turns.
bool Coordinator::stream(Slot& slot, Clock::time_point now, Clock::time_point end) {
  bool progress = false;
  while (slot.streams() && now < end && entering_.load() == 0 && awake() < cpus_) {
    slot.link().allow_spinning(true);
    if (!stream_spin_.until([&slot] { return slot.can_stream(); })) break;
    now = Clock::now();
    progress |= serve(slot, now);
  }
  return progress;
}

bool Coordinator::feed(Slot& slot, Clock::time_point now) {
  bool fed = slot.pump();
  const bool ranked = is_ranked();
  if (ranked) make_way(slot);
  const auto workers = static_cast<std::uint64_t>(size_.load(std::memory_order_relaxed));
  std::optional<int> least;  // nothing of a lower priority
  for (Entry* entry : jobs_) {
    if (entry->done()) continue;
    ActiveJob& job = entry->active;
    if (least && job.priority < *least) break;
    const std::uint64_t unsent =
        job.ledger.total() ? job.ledger.unsent() : std::numeric_limits<std::uint64_t>::max();
    const std::uint64_t pace = job.pace.window(unsent, workers);
    const std::uint64_t window = trace_ ? std::min<std::uint64_t>(pace, kMostTraced) : pace;
    // Not behind a task that matters less, and may be long: whoever gets done first takes it.
    if (!ranked || !slot.runs_below(job.priority)) {
      // Who reads a stream is away in between, and a worker that is done with a long task would
      // wait.
      fed |=
          slot.feed(job, entry->pulled != nullptr ? std::max(window, kLeastOfStream) : window, now);
    }
    if (ranked && job.has_work()) least = job.priority;
  }
  return fed;
}

/// If there is something to give out, what waits at the worker and matters less goes back.
void Coordinator::make_way(Slot& slot) {
  for (Entry* entry : jobs_) {
    if (entry->done() || !entry->active.has_work()) continue;
    if (slot.has_waiting_below(entry->active.priority)) slot.revoke_waiting(setup_.fences);
    return;
  }
}

/// After progress: jobs that were stopped want their waiting tasks back, those that were abandoned
/// want their running ones to end, and those that are done want their threads to know.
void Coordinator::tidy() {
  untidy_ = false;
  for (Entry* entry : jobs_) {
    ActiveJob& job = entry->active;
    for (Slot& slot : slots_) {
      if (job.abandoned) {
        if (slot.abandon(job, Clock::now(), setup_.fences)) after_drain(slot);
        if (!zygote_) return;  // given up meanwhile
      } else if (job.stopped) {
        slot.revoke_all(setup_.fences);
      }
    }
    job.stopped = false;
  }
  finish_calls();
  call_leaving();
}

/// After a pass in which nothing moved: true if there should be another.
bool Coordinator::finds_more() {
  for (Slot& slot : slots_) {
    if (slot.expect_answers(false)) after_drain(slot);
    if (slot.alive() && impatient_) slot.link().aim_bell_at_next_step();
  }
  if (!setup_.voice.silent()) {
    hear_workers();
    if (unheard_) return true;
  }
  if (help_the_idle(kWorthTaking)) return true;
  divide_tasks();
  return false;
}

void Coordinator::park(Lock& lock, milliseconds limit) {
  if (finds_more()) return;
  if (spare_cpu() && spin_.until([this] { return has_news() || entering_.load() != 0; })) return;
  if (!arm_bells()) sleep(lock, std::min(limit, patience()));
  for (Slot& slot : slots_) {
    if (slot.alive()) slot.link().disarm_bell();
  }
}

void Coordinator::sleep(Lock& lock, milliseconds timeout) {
  if (loop_) loop_->leave_events_alone();
  lock.unlock();
  const Wakeup wakeup = events_->wait(timeout);
  reclaim(lock);
  heed(wakeup, wakeup.timed_out());
}

void Coordinator::heed(const Wakeup& wakeup, bool time_has_come) {
  last_control_check_ = Clock::now();
  if (time_has_come) {
    impatient_ = true;
    help_the_idle({});
    if (last_control_check_ - last_rouse_ >= kBelt) rouse();
  }
  if (wakeup.output) hear_workers();
  if (zygote_ && wakeup.control) hear_zygote();
  for (std::size_t i = 0; zygote_ && i < wakeup.deaths; ++i) see_death(wakeup.dead[i]);
  if (zygote_ && wakeup.zygote) {
    give_up(
        State::broken, FailureKind::not_run,
        "bulkhead: the zygote, from which workers are forked, was killed (by a task, by another "
        "process, or for want of memory); make a new Pool");
  }
  replace_missing(last_control_check_);
  keep_spare(last_control_check_);
  keep_time(last_control_check_);
}

/// Ends tasks that are out of time or whose call is to stop, and workers that were asked to end and
/// have not.
void Coordinator::keep_time(Clock::time_point now) {
  heed_stops();
  if (report_due()) call_teller();
  for (Entry* entry : jobs_) entry->active.release_due(now);
  for (Slot& slot : slots_) {
    if (slot.expire(now, setup_.fences)) {
      untidy_ = true;
      after_drain(slot);
    }
    if (!zygote_ || !slot.killed_at || now < *slot.killed_at) continue;
    if (slot.state() == Slot::State::starting) {
      slot.end_start(
          "it was not ready within Options::initializer_timeout, " + to_text(*longest_start_), now,
          setup_.fences);
      after_drain(slot);
    } else {
      signal(slot, std::exchange(slot.unsent_signal, SIGKILL));
    }
  }
}

void Coordinator::heed_stops() {
  for (Entry* entry : jobs_) untidy_ |= entry->heed_stop();
}

/// A worker that a task has made lie about its sleep would not be woken otherwise, nor one that
/// cannot ring.
void Coordinator::rouse() {
  last_rouse_ = last_control_check_;
  doorbell_.empty();
  for (Slot& slot : slots_) {
    if (slot.expect_answers(true)) after_drain(slot);
    if (slot.alive() && !slot.idle()) slot.link().wake_anyway();
  }
}

bool Coordinator::has_news() {
  return std::any_of(slots_.begin(), slots_.end(), [](Slot& slot) { return slot.has_news(); });
}

/// Tells the workers when to ring. True if one may have passed that point already: then one must
/// not sleep.
bool Coordinator::arm_bells() {
  for (Slot& slot : slots_) {
    if (slot.alive()) slot.link().arm_bell();
  }
  // A worker that passes its last task fences by itself when it goes to sleep.
  const bool many =
      std::any_of(slots_.begin(), slots_.end(), [](const Slot& slot) { return slot.load() > 1; });
  static_cast<void>(heavy_fence(many ? setup_.fences : Fences::equal));
  return has_news();
}

/// Workers with tasks that do not sleep.
int Coordinator::awake() const {
  return static_cast<int>(std::count_if(slots_.begin(), slots_.end(), [](const Slot& slot) {
    return slot.load() != 0 && slot.link().is_awake();
  }));
}

/// True if this thread and all workers with tasks have a CPU each.
bool Coordinator::spare_cpu() const {
  const auto busy = std::count_if(slots_.begin(), slots_.end(),
                                  [](const Slot& slot) { return slot.load() != 0; });
  return busy + 1 <= cpus_;
}

milliseconds Coordinator::patience() {
  milliseconds timeout = kBelt;
  const auto until = [&](Clock::time_point time) {
    const auto left = std::chrono::ceil<milliseconds>(time - Clock::now());
    timeout = std::clamp(left, milliseconds{1}, timeout);
  };
  const bool idle =
      std::any_of(slots_.begin(), slots_.end(), [](const Slot& s) { return s.idle(); });
  for (Slot& slot : slots_) {
    if (const auto deadline = slot.deadline(Clock::now())) until(*deadline);
    if (slot.killed_at) until(*slot.killed_at);
    if (idle && slot.has_waiting()) timeout = std::min(timeout, kIdleStall);
    if (idle && slot.can_share()) timeout = std::min(timeout, kShareStall);
    if (!impatient_ && slot.load() > 1) timeout = std::min(timeout, kStall);
    if (!slot.lacks_worker() || leaving_ || !restarts_.allowed()) continue;
    until(restarts_.not_before());
  }
  for (const Entry* entry : jobs_) {
    if (const auto due = entry->active.attempts.due()) until(*due);
  }
  for (const auto& background : background_) {
    if (background->entry->options.progress)
      until(background->entry->last_report + kProgressInterval);
  }
  if (lacks_spare()) until(spare_due_);
  return timeout;
}

}  // namespace bulkhead::detail
