// SPDX-License-Identifier: MIT
#include "worker/work_meter.hpp"

#include "worker/task_clock.hpp"

#include <algorithm>
#include <utility>

namespace bulkhead::detail {
namespace {

/// Tasks as long as this are looked at one by one: that costs less than half a percent.
constexpr std::int64_t kLong = 10'000;
/// A span of shorter ones is about this long, in nanoseconds, and has no more tasks than that.
constexpr std::int64_t kSpan = 40'000;
constexpr std::int64_t kMostInSpan = 4096;
/// One task of so many spans is looked at closely.
constexpr std::uint32_t kSpansPerExact = 32;
/// What resume_about() may be wrong by.
constexpr std::int64_t kMoment = 2'000;

WorkMeter* attending = nullptr;  ///< the one that looks at each task

std::int64_t since_boot(WorkMeter::Clock::time_point time) {
  return std::chrono::nanoseconds(time.time_since_epoch()).count();
}

template <class T>
void add(std::atomic<T>& word, T more) {
  word.store(word.load(std::memory_order_relaxed) + more, std::memory_order_relaxed);
}

}  // namespace

std::size_t time_bucket(std::int64_t nanoseconds) {
  if (nanoseconds <= kTimeBounds[0]) return 0;
  return static_cast<std::size_t>(
      std::lower_bound(kTimeBounds.begin(), kTimeBounds.end(), nanoseconds) - kTimeBounds.begin());
}

void WorkMeter::start() {
  resume();
  words_.ready_at.store(mark_, std::memory_order_relaxed);
}

WorkMeter::Clock::time_point WorkMeter::pause(std::uint64_t begun) {
  const auto time = Clock::now();
  add_stretch(begun, since_boot(time));
  return time;
}

void WorkMeter::finish_span() {
  if (seen_ != counted_) finish(seen_ - counted_);
}

void WorkMeter::end_span(std::uint64_t begun) {
  pause(begun);
  finish_span();
}

void WorkMeter::resume() {
  mark_ = since_boot(Clock::now());
  about_ = false;
  words_.looked_at.store(mark_, std::memory_order_relaxed);
}

void WorkMeter::resume_about(Clock::time_point time) {
  mark_ = since_boot(time);
  about_ = true;
}

void WorkMeter::resume_after_coding() {
  const std::int64_t before = mark_;
  resume();
  add(words_.serialising, mark_ - before);
}

void WorkMeter::begin_kind(std::uint64_t begun) {
  if (begun != counted_) end_span(begun);
  set_exact(true);
}

/// Tasks from `seen_` to `begun` have been run since `mark_`, if there were any.
void WorkMeter::add_stretch(std::uint64_t begun, std::int64_t now) {
  std::int64_t time = now - mark_;
  mark_ = now;
  words_.looked_at.store(now, std::memory_order_relaxed);
  if (begun == seen_) return;
  const auto tasks = static_cast<std::int64_t>(begun - seen_);
  if (about_ && time < kMoment) time = std::min(time, typical_ * tasks);
  const bool is_long = time >= kLong * tasks;
  if (is_long) finish_span();
  work_ += time;
  seen_ = begun;
  if (is_long) finish_span();
}

void WorkMeter::add_phase(std::int64_t now) {
  (phase_ == TaskPhase::running ? work_ : coding_) += now - mark_;
  mark_ = now;
}

void WorkMeter::enter(TaskPhase phase) {
  add_phase(since_boot(Clock::now()));
  phase_ = phase;
}

void WorkMeter::end_task(std::uint64_t number) {
  if (number != counted_ + 1) return;  // it has ended already, or has written over its number
  add_phase(since_boot(Clock::now()));
  phase_ = TaskPhase::running;
  words_.looked_at.store(mark_, std::memory_order_relaxed);
  seen_ = number;
  const std::int64_t all = work_ + coding_;
  coding_share_ = all > 0 ? static_cast<double>(coding_) / static_cast<double>(all) : 0;
  finish(number - counted_);
}

/// `tasks` of them have taken as long as has been added up.
void WorkMeter::finish(std::uint64_t tasks) {
  const std::int64_t all = work_ + coding_;
  const std::int64_t mean = all / static_cast<std::int64_t>(tasks);
  if (!exact_) coding_ = static_cast<std::int64_t>(coding_share_ * static_cast<double>(all));
  add(words_.working, all - coding_);
  add(words_.serialising, coding_);
  // By the last of them: that is the one of which the coordinator has heard last.
  if (mean > fifth_slow_) [[unlikely]]
    note_slow(counted_ + tasks, mean);
  add(words_.counts[time_bucket(mean)], tasks);
  work_ = coding_ = 0;
  counted_ += tasks;
  typical_ = mean;
  every_ = static_cast<std::uint64_t>(
      std::clamp<std::int64_t>(kSpan / std::max<std::int64_t>(mean, 1), 1, kMostInSpan));
  set_exact(mean >= kLong || (!exact_ && ++spans_ % kSpansPerExact == 0));
}

/// It takes the place of the least slow one.
void WorkMeter::note_slow(std::uint64_t number, std::int64_t time) {
  const auto by_time = [](const WorkWords::Slow& a, const WorkWords::Slow& b) {
    return a.time.load(std::memory_order_relaxed) < b.time.load(std::memory_order_relaxed);
  };
  auto& slowest = words_.slowest;
  WorkWords::Slow& least = *std::min_element(slowest.begin(), slowest.end(), by_time);
  least.number.store(number, std::memory_order_relaxed);
  least.time.store(time, std::memory_order_relaxed);
  fifth_slow_ = std::min_element(slowest.begin(), slowest.end(), by_time)->time.load();
  add(words_.slow_changes, 1U);
}

void WorkMeter::set_exact(bool exact) {
  if (exact == exact_) return;
  exact_ = exact;
  attending = this;
  attend_each_task(exact ? +[](std::uint64_t number) { attending->end_task(number); } : nullptr);
}

}  // namespace bulkhead::detail
