// SPDX-License-Identifier: MIT
#include "runtime/slot.hpp"

#include "runtime/post_mortem.hpp"
#include "runtime/time.hpp"
#include "worker/serve.hpp"
#include <bulkhead/detail/exception_record.hpp>

#include <algorithm>
#include <atomic>
#include <exception>
#include <iterator>
#include <utility>

namespace bulkhead::detail {
namespace {

/// Deaths at which a task was next in line and said not to have begun, before it is blamed after
/// all.
constexpr int kMostReturns = 5;

/// A worker may take this long, and the task's time limit, to begin it: rebuilding the callable, or
/// waiting for a CPU, is not the task's fault.
constexpr std::chrono::seconds kTimeToBegin{10};

}  // namespace

void Slot::begin(std::unique_ptr<Link> link, std::uint64_t epoch, int pid) {
  link_ = std::move(link);
  state_ = State::starting;
  epoch_ = epoch;
  pid_ = pid;
  sent_ = settled_ = skipped_ = 0;
  ends_early_ = 0;
  revoking_ = worn_out_ = ran_short_ = dismissed_ = has_left_ = false;
  weight = {};
  defined_.clear();
  untried_.clear();
  clocked_ = {};
  killed_at.reset();
  unsent_signal = SIGKILL;
  overdue = false;
  has_complained_ = false;
  heard_ = born_ = std::chrono::steady_clock::now();
  batches_ = {};
  slow_seen_ = 0;
  slow_taken_ = {};
  verdict_.clear();
  fate_ = FailureKind::crashed;
  became_doomed_ = false;
  FrameHeader header;
  header.kind = FrameKind::begin;
  send(header, std::as_bytes(std::span(&number_, 1)));
}

// ---------------------------------------------------------------------------------------------------
// Out

bool Slot::feed(ActiveJob& job, std::uint64_t window, Time now) {
  if (!alive() || revoking_ || dismissed_) return false;
  const std::uint64_t before = link_->tasks().written();
  bool any = false;
  std::uint64_t own = queue_.count_of(&job);
  // In batches: each is a crossing of the seam, and cache lines that go from core to core.
  if (own > window - std::max<std::uint64_t>(window / 4, 1)) window = own;
  while (outbound_.empty() && own < window && share_left() != 0) {
    const TaskRange range = job.take(std::min(window - own, share_left()));
    if (range.count == 0) break;
    Job::Encoded encoded;
    if (define(job)) {
      if (queue_.empty()) busy_since_ = now;
      TaskSink sink(link_->tasks(), job.attempts.next(range.first));
      encoded = job.job.encode(sink, job.callable, range);
      if (sink.large()) outbound_.push_back(std::move(*sink.large()));
    }
    queue_.push(&job, {range.first, encoded.accepted});
    sent_ += encoded.accepted;
    own += encoded.accepted;
    const std::uint64_t used = encoded.accepted + (encoded.failed ? 1 : 0);
    const std::uint64_t behind = range.first + encoded.accepted;
    if (encoded.failed) job.refuse(behind, encoded.kind);
    if (used < range.count) job.ledger.give_back({range.first + used, range.count - used});
    any |= used != 0;
    if (used == 0) break;
  }
  pump();
  return any || link_->tasks().written() != before;
}

bool Slot::define(const ActiveJob& job) {
  if (defined_.contains(job.callable)) return true;
  FrameHeader header;
  header.kind = FrameKind::define;
  header.callable = job.callable;
  defined_.insert(job.callable);
  if (job.job.has_state()) untried_.push_back(job.callable);
  return send(header, job.define);
}

/// A task of the callable was answered, so this one and those before it have been rebuilt.
void Slot::note_tried(std::uint32_t callable) {
  const auto found = std::find(untried_.begin(), untried_.end(), callable);
  if (found != untried_.end()) untried_.erase(untried_.begin(), std::next(found));
}

void Slot::drop(std::uint32_t callable) {
  if (!alive() || defined_.erase(callable) == 0) return;
  std::erase(untried_, callable);
  FrameHeader header;
  header.kind = FrameKind::drop;
  header.callable = callable;
  send(header, {});
  publish();
}

void Slot::wear_out(Fences fences) {
  worn_out_ = true;
  revoke_all(fences);
}

void Slot::lose_place(Fences fences) {
  has_place_ = false;
  revoke_all(fences);
}

void Slot::dismiss() {
  if (!alive() || std::exchange(dismissed_, true)) return;
  FrameHeader header;
  header.kind = FrameKind::leave;
  send(header, {});
  publish();
}

/// Sends a message that is no task: at once if there is room, else as soon as there is. False if it
/// went behind others that wait.
bool Slot::send(FrameHeader header, std::span<const std::byte> payload) {
  outbound_.emplace_back(header, std::vector<std::byte>(payload.begin(), payload.end()));
  pump();
  return outbound_.empty();
}

bool Slot::pump() {
  if (!alive()) return false;
  const std::uint64_t before = link_->tasks().written();
  while (!outbound_.empty() && outbound_.front().pump(link_->tasks())) outbound_.pop_front();
  const bool moved = link_->tasks().written() != before;
  moved_ |= moved;
  return moved;
}

// ---------------------------------------------------------------------------------------------------
// Back

void Slot::give_back(std::uint64_t count) {
  queue_.take_back(count, [](const Run& run) { run.job->ledger.give_back(run.tasks); });
}

// The worker, before each task: stores its number, fences, reads the revocation. Here: stores the
// revocation, fences, reads the number. So a task that the worker has not been seen to begin will
// not begin; of the one that it was seen to begin its answer, or its skipping, will tell.
bool Slot::revoke(std::uint64_t first, Fences fences) {
  if (!alive() || revoking_ || first >= sent_) return false;
  revoking_ = true;
  revoked_to_ = sent_;
  link_->revoke(first, sent_);
  if (!heavy_fence(fences)) return false;
  const std::uint64_t begun = std::clamp(link_->tasks_begun(), first, sent_);
  if (sent_ == begun) return false;
  give_back(sent_ - begun);
  cut_task();
  return true;
}

/// The rest of the task that is leaving in pieces, if there is one, is of no use any more.
void Slot::cut_task() {
  if (!outbound_.empty() && outbound_.front().kind() == FrameKind::task) outbound_.front().cut();
}

bool Slot::abandon(const ActiveJob& job, Time now, Fences fences) {
  if (!alive() || queue_.count_of(&job) == 0) return false;
  revoke_all(fences);
  drain(now);
  publish();
  if (alive() && !queue_.empty() && queue_.front().job == &job) {
    doom(job.why_abandoned, FailureKind::cancelled);
  }
  return true;
}

bool Slot::abandon(const ActiveJob& job, std::uint64_t task, const std::string& why, Time now,
                   Fences fences) {
  if (!alive() || !queue_.holds(&job, task)) return false;
  revoke_all(fences);
  drain(now);
  publish();
  const bool is_front = alive() && !queue_.empty() && queue_.front().job == &job &&
                        queue_.front().tasks.first == task;
  if (is_front) doom(why, FailureKind::cancelled);
  return true;
}

// The worker tells when the task began. It is believed for what lies in the past, and only once, as
// a later word would give the task more time; but for tasks that have steps. One that never tells
// may not take for ever either, whether it is the task's doing or not. While the values of a task
// come and go, the worker waits for us.
std::optional<Slot::Time> Slot::deadline(Time now) {
  if (!alive() || queue_.empty() || !queue_.front().job->timeout) return std::nullopt;
  if (clocked_.before != settled_) clocked_ = {settled_, false, now, 0};
  if (link_->tasks_begun() == settled_ + 1) {
    const bool has_steps = queue_.front().job->job.has_steps();
    const std::uint64_t step = link_->steps();
    const std::optional<Time> began = link_->began_at();
    if (!clocked_.runs || (has_steps && (step != clocked_.step || !began)))
      clocked_ = {settled_, true, std::clamp(began.value_or(now), Time{}, now), step};
  }
  if (std::exchange(moved_, false)) clocked_.since = now;
  const Time due = later(clocked_.since, *queue_.front().job->timeout);
  return clocked_.runs ? due : later(due, kTimeToBegin);
}

bool Slot::is_due(Time now) {
  const std::optional<Time> time = deadline(now);
  return time && *time <= now;
}

// Once the tasks behind it are taken back, the worker cannot be at another task without having
// answered this one.
bool Slot::expire(Time now, Fences fences) {
  if (!is_due(now)) return false;
  revoke_waiting(fences);
  drain(now);
  publish();
  if (!is_due(now)) return true;
  const std::string limit = to_text(*queue_.front().job->timeout);
  doom(clocked_.runs ? "it ran for longer than " + limit
                     : "its worker had not begun it " + to_text(kTimeToBegin) +
                           " after its time limit of " + limit,
       FailureKind::timed_out);
  return true;
}

void Slot::end_start(const std::string& why, Time now, Fences fences) {
  revoke_all(fences);
  drain(now);
  publish();
  if (state_ != State::starting) return;
  overdue = true;
  doom(why);
}

double Slot::left_to_share() const {
  if (state_ != State::ready || queue_.size() != 1 || ends_early()) return 0;
  const Run& front = queue_.front();
  const bool runs = link_->tasks_begun() == settled_ + 1;
  const std::uint64_t at = runs ? link_->element() : kNoMark;  // else of a task before
  return std::clamp(front.job->job.left_of(front.tasks.first, at), 0.0, 1.0);
}

std::chrono::nanoseconds Slot::time_to_share(Time now) const {
  const double left = left_to_share();
  if (left == 0 || link_->tasks_begun() != settled_ + 1) return {};
  const auto taken = std::max(now - busy_since_, Time::duration{});
  // Of one that is at its first element nothing is known: it is taken to be half-way.
  const double times = left == 1 ? 1 : std::min(left / (1 - left), 1000.0);
  const auto all = std::chrono::duration_cast<std::chrono::nanoseconds>(taken * times);
  const auto cost = queue_.front().job->job.cost_of_ending_early();
  return std::max(all - cost, std::chrono::nanoseconds{});
}

bool Slot::expect_answers(bool late) {
  if (!alive() || (revoking_ && !late) || queue_.empty() || !outbound_.empty() ||
      !link_->has_finished())
    return false;
  doom("it went to sleep without having answered");
  return true;
}

void Slot::doom(std::string why, FailureKind fate) {
  state_ = State::doomed;
  became_doomed_ = true;
  fate_ = fate;
  verdict_ = std::move(why);
}

/// How many of the tasks at the front had begun when the worker died: one, but where answers were
/// lost in a damaged outbox. The worker's own word for it is not believed where it is absurd, nor
/// again and again: a task that makes its workers say no would be run for ever.
std::uint64_t Slot::begun_at_death() {
  if (queue_.empty()) return 0;
  const std::uint64_t begun = link_->tasks_begun();
  if (begun > settled_ && begun <= sent_) return std::min(begun - settled_, queue_.size());
  if (state_ == State::starting || overdue) return 0;
  if (state_ == State::doomed || begun > sent_) return 1;
  const Run front = queue_.front();
  const bool untried =
      std::find(untried_.begin(), untried_.end(), front.job->callable) != untried_.end();
  if (untried) return 0;  // see Corpse::rebuilt
  return ++front.job->returns_after_death[front.tasks.first] >= kMostReturns ? 1 : 0;
}

Slot::Corpse Slot::identify(Time now) const {
  Corpse corpse;
  corpse.pid = pid_;
  corpse.epoch = epoch_;
  corpse.number = number_;
  corpse.kind = fate_;
  corpse.verdict = verdict_;
  corpse.starting = state_ == State::starting || overdue;
  corpse.overdue = overdue;
  corpse.complained = has_complained_;
  corpse.dismissed = dismissed_;
  corpse.left = has_left_;
  corpse.worn_out = worn_out_;
  corpse.has_place = has_place_;
  corpse.first_begun = settled_ + 1;
  corpse.figures = figures(now);
  return corpse;
}

Slot::Corpse Slot::bury() {
  const Time now = std::chrono::steady_clock::now();
  drain(now);
  hear();  // one that was doomed, too
  Corpse corpse = identify(now);
  if (transcript_) {
    corpse.output = transcript_->take(settled_ + 1);
    transcript_->finish();
    transcript_.reset();
  }
  for (std::uint64_t left = begun_at_death(); left != 0;) {
    const Run& front = queue_.front();
    const std::uint64_t count = std::min(left, front.tasks.count);
    corpse.begun.push_back({front.job, {front.tasks.first, count}});
    queue_.pop(count);
    left -= count;
  }
  static_cast<void>(slowest());
  note_unfinished(corpse, now);
  if (corpse.begun.empty() && state_ == State::ready && !untried_.empty()) {
    corpse.rebuilt = untried_.front();
  }
  give_back(queue_.size());
  outbound_.clear();
  inbound_.reset();
  inbound_exception_.clear();
  corpse.link = std::move(link_);
  killed_at.reset();
  state_ = State::vacant;
  return corpse;
}

}  // namespace bulkhead::detail
