// SPDX-License-Identifier: MIT
//
// Slot: one worker of a pool as the coordinator sees it, through all its incarnations: the link to
// the present one, the tasks that are with it, and the messages that are on their way in pieces.
//
//   vacant ── begin ──▶ starting ── "ready" ──▶ ready
//      ▲                    │                     │
//      └────── bury ◀───────┴──── (death) ◀───────┘
//
// doomed: it is being ended, as it broke the protocol or as its task must not go on.
//
// Decides nothing about other slots. One thread at a time.
#pragma once

#include "runtime/active_job.hpp"
#include "runtime/in_flight.hpp"
#include "runtime/transcript.hpp"
#include "runtime/worker_books.hpp"
#include "worker/fence.hpp"
#include "worker/link.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace bulkhead::detail {

class Trace;

class Slot {
 public:
  /// `number` is its place in the pool.
  explicit Slot(std::uint32_t number = 0) : number_(number) {}

  enum class State : std::uint8_t { vacant, starting, ready, doomed };
  using Time = std::chrono::steady_clock::time_point;

  /// What is left of a worker that has ended.
  struct Corpse {
    std::vector<Run> begun;  ///< the tasks that had begun, mostly one: the caller is to fail them
    /// If none had: the callable that it may have been rebuilding from its state.
    std::optional<std::uint32_t> rebuilt;
    int pid = 0;
    FailureKind kind = FailureKind::crashed;   ///< how they failed
    std::string verdict;                       ///< why the worker was doomed, if it was
    std::shared_ptr<const TaskOutput> output;  ///< of the first of `begun`; null: none was captured
    std::unique_ptr<Link> link;                ///< with the crash report
    std::uint32_t number = 0;                  ///< of the worker in its pool
    std::uint64_t first_begun = 0;             ///< the number of the first of `begun`
    WorkFigures figures;
    std::uint64_t epoch = 0;
    bool starting = false;    ///< it was not ready, or not in time
    bool overdue = false;     ///< see Slot
    bool complained = false;  ///< see Slot::has_complained()
    bool dismissed = false;   ///< it was told to leave, or has said that it would
    bool left = false;        ///< the latter
    bool worn_out = false;
    bool has_place = true;
  };

  /// A new incarnation begins: a worker that has been asked for, or (with a pid) stands by.
  /// It hears of its number with the next publish().
  void begin(std::unique_ptr<Link> link, std::uint64_t epoch, int pid);
  void started(int pid) { pid_ = pid; }
  /// What the worker says beside its answers goes there, until it is buried.
  void listen(std::unique_ptr<Transcript> transcript) { transcript_ = std::move(transcript); }
  /// What its tasks do goes there; null: nowhere.
  void trace_to(Trace* trace) { trace_ = trace; }
  /// The incarnation has ended: its process is dead, or was never there. What was with it goes back
  /// to its jobs, but for what had begun.
  Corpse bury();

  /// True if one must not sleep: the worker may be half through its tasks, or waits for us.
  [[nodiscard]] bool has_news() { return alive() && (link_->has_news() || can_pump()); }
  /// True if drain() is worth it: the worker is some way through its tasks, or waits for us.
  [[nodiscard]] bool has_got_on() {
    return alive() &&
           (queue_.size() <= 1 || state_ == State::starting || streams() || link_->has_got_on());
  }
  /// Takes in what the worker's tasks have written. False if there may be more. Time for which the
  /// worker has waited for that is not the task's, nor the initializer's.
  bool hear();
  /// Takes in what the worker has published so far. True if there was anything.
  bool drain(Time now);
  /// Gives tasks of `job` to the worker, up to the job's window, if a quarter of that is free. True
  /// if any were given.
  bool feed(ActiveJob& job, std::uint64_t window, Time now);
  /// Goes on with a message that leaves in pieces. True if a piece has left.
  bool pump();
  /// True if a value is coming or leaving in pieces.
  [[nodiscard]] bool streams() const {
    return alive() && (inbound_ != nullptr || !outbound_.empty());
  }
  /// True if the next piece could come or leave at once.
  [[nodiscard]] bool can_stream() { return link_->answers().pending() || can_pump(); }
  /// Publishes what feed() and drain() did. Wakes the worker if need be.
  void publish() { link_->publish(); }
  /// Takes back the tasks that wait behind the one that runs, or is to run next: that one stays
  /// even if it has not begun, or a worker that has just been given tasks would lose them all. One
  /// that is still starting loses them. Some may come back only once the worker gets to them. True
  /// if some have come back now.
  bool revoke_waiting(Fences fences) { return revoke(settled_ + kept(), fences); }
  /// The same for all tasks that have not begun.
  bool revoke_all(Fences fences) { return revoke(settled_, fences); }
  /// Takes back what has not begun. If the task that has is one of `job`, the worker is doomed.
  /// True if it had any of them.
  bool abandon(const ActiveJob& job, Time now, Fences fences);
  /// The same for one task of `job`: what else has not begun is taken back as well.
  bool abandon(const ActiveJob& job, std::uint64_t task, const std::string& why, Time now,
               Fences fences);
  /// True if the task of `job` is with the worker.
  [[nodiscard]] bool holds(const ActiveJob& job, std::uint64_t task) const {
    return queue_.holds(&job, task);
  }
  /// A worker that starts is out of time: it is doomed, unless it has become ready by now.
  void end_start(const std::string& why, Time now, Fences fences);
  /// If the running task is out of time, the worker is doomed. True if it was worth a look.
  bool expire(Time now, Fences fences);
  /// When the running task, or one that may begin at any moment, is out of time at the earliest;
  /// nothing if it may take as long as it likes.
  [[nodiscard]] std::optional<Time> deadline(Time now);
  /// How long the running task would go on, by how far it has come, as it says, without what it
  /// costs to end it early; zero: that is not worth it, or it cannot, or has been told to.
  [[nodiscard]] std::chrono::nanoseconds time_to_share(Time now) const;
  /// True if it may have some, sooner or later.
  [[nodiscard]] bool can_share() const { return left_to_share() != 0; }
  /// Since when the running task may have been running.
  [[nodiscard]] Time running_since() const { return busy_since_; }
  /// True if the running task has been told to.
  [[nodiscard]] bool ends_early() const { return alive() && ends_early_ == settled_ + 1; }
  /// The running task is to leave to others what it has not begun.
  void end_early() {
    ends_early_ = settled_ + 1;
    link_->end_early(ends_early_);
  }
  /// If the worker sleeps although it owes answers, as a task has damaged them, it is doomed: true.
  /// `late`: a skipped answer, which may be on its way when the tasks are back, is not awaited.
  bool expect_answers(bool late);
  /// The callable is not used any more.
  void drop(std::uint32_t callable);
  /// No incarnation is given more than so many tasks.
  void set_share(std::uint64_t tasks) { share_ = tasks; }
  /// It is given no more tasks, and those that wait are taken back.
  void wear_out(Fences fences);
  [[nodiscard]] bool worn_out() const { return worn_out_; }
  /// True once after a task of it ran out of the memory that the worker may have.
  [[nodiscard]] bool take_shortage() { return std::exchange(ran_short_, false); }
  /// Its place is to go: it is given no more tasks, and those that wait are taken back.
  void lose_place(Fences fences);
  /// It has its place again.
  void regain_place() { has_place_ = true; }
  [[nodiscard]] bool has_place() const { return has_place_; }
  /// True if it has done its share, or lost its place, and has nothing left: time to dismiss it.
  [[nodiscard]] bool spent() const { return !dismissed_ && share_left() == 0 && has_nothing(); }
  /// Asks the worker to run the finalizer and leave.
  void dismiss();
  [[nodiscard]] bool dismissed() const { return dismissed_; }
  /// The present worker, or the last one, has left by itself, as there was nothing to do.
  [[nodiscard]] bool has_left() const { return has_left_; }
  /// There is something to do again.
  void recall() { has_left_ = false; }
  /// True if there is no worker, and ought to be one.
  [[nodiscard]] bool lacks_worker() const {
    return state_ == State::vacant && has_place_ && !has_left_;
  }
  /// True if there will be no worker before there is something to do.
  [[nodiscard]] bool rests() const { return state_ == State::vacant && has_place_ && has_left_; }

  [[nodiscard]] std::uint32_t number() const { return number_; }

  // For who looks from outside. The figures are of the present incarnation.

  [[nodiscard]] Stats::Worker look(Time now) const;
  /// Of one that is not vacant.
  [[nodiscard]] WorkFigures figures(Time now) const;
  [[nodiscard]] std::optional<Time> ready_at(Time now) const;
  [[nodiscard]] Time born() const { return born_; }
  /// Of all incarnations. First what the worker has said since its last answer.
  [[nodiscard]] const SlowTasks& slowest() {
    if (link_ && link_->slow_changes() != slow_seen_) note_slow();
    return slow_;
  }
  [[nodiscard]] State state() const { return state_; }
  [[nodiscard]] bool alive() const { return state_ == State::starting || state_ == State::ready; }
  [[nodiscard]] std::uint64_t epoch() const { return epoch_; }
  [[nodiscard]] int pid() const { return pid_; }
  [[nodiscard]] Link& link() { return *link_; }
  [[nodiscard]] const Link& link() const { return *link_; }
  /// Tasks with the worker, the running one included.
  [[nodiscard]] std::uint64_t load() const { return queue_.size(); }
  /// Has nothing to do, and could be given something.
  [[nodiscard]] bool idle() const { return has_nothing() && !dismissed_ && share_left() != 0; }
  /// True if tasks wait that could be taken back.
  [[nodiscard]] bool has_waiting() const { return alive() && !revoking_ && queue_.size() > kept(); }
  /// True if some of those are of calls with a lower priority.
  [[nodiscard]] bool has_waiting_below(int priority) const {
    return has_waiting() && queue_.any_below(priority, kept());
  }
  /// True if the running task is of such a call.
  [[nodiscard]] bool runs_below(int priority) const {
    return !queue_.empty() && queue_.front().job->priority < priority;
  }
  /// How long the waiting ones will wait, by what tasks of their kind have taken so far.
  [[nodiscard]] std::chrono::nanoseconds waiting() const {
    return queue_.front().job->pace.per_task() * static_cast<std::int64_t>(queue_.size() - kept());
  }
  /// Why the worker is doomed.
  [[nodiscard]] const std::string& verdict() const { return verdict_; }
  /// True if a task that may want to tidy up is the reason, and not the worker's own state.
  [[nodiscard]] bool may_tidy_up() const { return fate_ != FailureKind::crashed; }
  /// The doomed or dismissed worker has until then, or one that starts; nothing: it was not given
  /// any time, or has no limit.
  std::optional<Time> killed_at;
  int unsent_signal = SIGKILL;  ///< that it gets then: the zygote had no time for it
  bool overdue = false;         ///< it was killed as it took too long to start
  /// What memory it has been seen to have.
  struct Weight {
    std::uint64_t at_start = 0;  ///< bytes
    Time seen{};
  } weight;
  /// What went wrong in the set-up, the initializer or the finalizer, once; empty if nothing did.
  [[nodiscard]] std::string take_complaint() { return std::exchange(complaint_, {}); }
  /// It has said something of that kind.
  [[nodiscard]] bool has_complained() const { return has_complained_; }
  /// True once after the worker was doomed: it is to be killed.
  [[nodiscard]] bool take_doom() { return std::exchange(became_doomed_, false); }
  /// True once after the worker has become ready.
  [[nodiscard]] bool take_ready() { return std::exchange(became_ready_, false); }

 private:
  bool take_answers();
  bool take_frames();
  // What the frames of the outbox mean. False: the frame makes no sense here.
  bool handle(const FrameHeader& header, const std::byte* payload);
  bool take_values(const FrameHeader& header, const std::byte* payload);
  bool take_whole();
  bool take_settled(const Settled& done);
  bool take_piece(const FrameHeader& header, std::span<const std::byte> bytes);
  bool take_exception(const FrameHeader& header, std::span<const std::byte> bytes);
  bool take_skipped(const FrameHeader& header, const std::byte* payload);
  bool take_leave(const FrameHeader& header);
  bool take_complaint(const FrameHeader& header, std::span<const std::byte> bytes);
  bool answers_front(const FrameHeader& header) const;

  /// What the time limit of a task is counted from.
  struct Clocked {
    std::uint64_t before = ~std::uint64_t{0};  ///< tasks settled before it: which one it is
    bool runs = false;                         ///< it has been seen to have begun
    Time since{};                              ///< then; or it has been the front task since
    std::uint64_t step = 0;                    ///< of the worker's, that said so
  };

  /// Tasks that it may still be given.
  [[nodiscard]] std::uint64_t share_left() const {
    const std::uint64_t given = sent_ - skipped_;
    return worn_out_ || !has_place_ || given >= share_ ? 0 : share_ - given;
  }
  [[nodiscard]] bool has_nothing() const {
    return alive() && queue_.empty() && outbound_.empty() && !revoking_;
  }
  /// What part of its only task can be left to others, as the worker says.
  [[nodiscard]] double left_to_share() const;
  void settled(const Settled& settled);
  void note_answers(std::uint64_t count, std::optional<std::uint64_t> failed);
  [[nodiscard]] Time busy_since(Time now) const;
  void note_batch(std::uint64_t count);
  void note_slow();
  [[nodiscard]] Corpse identify(Time now) const;
  void note_unfinished(Corpse& corpse, Time now);
  void trace_answers(std::uint64_t count, std::optional<std::uint64_t> failed);
  void attach_output(std::uint64_t count);
  [[nodiscard]] std::optional<std::uint64_t> index_of(std::uint64_t number) const;
  void measure(Time now);
  [[nodiscard]] Time ended_by(Time now) const;
  [[nodiscard]] bool can_pump() {
    return !outbound_.empty() && outbound_.front().fits(link_->tasks());
  }
  /// Tasks that stay with the worker when those that wait are taken back.
  [[nodiscard]] std::uint64_t kept() const { return state_ == State::ready ? 1 : 0; }
  bool define(const ActiveJob& job);
  void note_tried(std::uint32_t callable);
  bool send(FrameHeader header, std::span<const std::byte> payload);
  bool revoke(std::uint64_t first, Fences fences);
  void give_back(std::uint64_t count);
  void cut_task();
  [[nodiscard]] std::uint64_t begun_at_death();
  [[nodiscard]] bool is_due(Time now);
  void doom(std::string why, FailureKind fate = FailureKind::crashed);

  /// Tasks that were answered together.
  struct Batch {
    std::uint64_t number = 0;  ///< of the first, by the worker's count
    std::uint64_t count = 0;
    std::uint64_t first = 0;  ///< its index in its call
    CallName call;
  };

  const std::uint32_t number_;
  bool has_place_ = true;
  State state_ = State::vacant;
  std::uint64_t epoch_ = 0;
  int pid_ = 0;
  std::unique_ptr<Link> link_;

  std::unique_ptr<Transcript> transcript_;  ///< null: nothing is to be heard
  InFlight queue_;
  std::uint64_t sent_ = 0;     ///< tasks sent to this incarnation
  std::uint64_t settled_ = 0;  ///< of those, answered or skipped
  std::uint64_t skipped_ = 0;  ///< of those, skipped
  std::uint64_t share_ = ~std::uint64_t{0};
  bool worn_out_ = false;
  bool ran_short_ = false;  ///< of memory, in a task
  bool dismissed_ = false;
  bool has_left_ = false;
  std::uint64_t ends_early_ = 0;  ///< the number of the task that was told to
  bool revoking_ = false;         ///< tasks below revoked_to_ are still to be answered or skipped
  std::uint64_t revoked_to_ = 0;
  std::set<std::uint32_t> defined_;    ///< callables that the worker knows
  std::deque<std::uint32_t> untried_;  ///< of those with state, in order: no task answered yet
  std::deque<LargeMessage> outbound_;  ///< on their way into the inbox, in order

  std::unique_ptr<LargeResult> inbound_;      ///< the value that is coming in pieces
  std::vector<std::byte> inbound_exception_;  ///< the exception that is coming in pieces
  Time busy_since_{};                         ///< since when the front task may have been running
  std::uint64_t answered_ = 0;          ///< tasks of which the present drain() has taken answers
  ActiveJob* last_answered_ = nullptr;  ///< the job of the last of them
  bool mixed_answers_ = false;          ///< they are not all of that job
  Clocked clocked_;                     ///< the front task, if it has a time limit
  bool moved_ = false;                  ///< a piece of it has come or left since
  FailureKind fate_ = FailureKind::crashed;  ///< of the task of a doomed worker
  std::string verdict_;
  std::string complaint_;
  bool has_complained_ = false;
  Time heard_{};  ///< when the worker's pipes were looked at last
  bool became_ready_ = false;
  bool became_doomed_ = false;

  Time born_{};
  std::array<Batch, 2> batches_;  ///< the last ones
  std::size_t latest_batch_ = 0;
  std::uint32_t slow_seen_ = 0;                          ///< changes of the worker's slowest tasks
  std::array<std::uint64_t, kSlowest> slow_taken_ = {};  ///< their numbers
  SlowTasks slow_;
  Trace* trace_ = nullptr;
};

}  // namespace bulkhead::detail
