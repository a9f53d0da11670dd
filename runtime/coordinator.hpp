// SPDX-License-Identifier: MIT
//
// The coordinator: the state machine of a pool in the user's process. It decides which worker gets
// which tasks, what becomes of a worker that died, and when a job is done.
//
// Who waits, drives: the thread that called map() runs the loop itself. If several threads have
// jobs, one of them drives for all and the others sleep until their job is done, or until they have
// to take over. Calls that nobody waits for are driven by a helper thread, which the first of them
// starts, and which steps back for any thread that waits; or by an event loop of the host's, which
// sleeps on the same descriptor, and calls poll(). Any thread may call anything here; what is
// behind the mutex is touched by one at a time.
//
//   pass:  drain every outbox ─▶ settle, requeue ─▶ feed every inbox ─▶ nothing moved? park
//   park:  arm the bells ─▶ look again ─▶ sleep on one epoll descriptor ─▶ deaths, forks, bells
#pragma once

#include "runtime/active_call.hpp"
#include "runtime/admission.hpp"
#include "runtime/log.hpp"
#include "runtime/restarts.hpp"
#include "runtime/slot.hpp"
#include "runtime/startup.hpp"
#include "runtime/trace.hpp"
#include "runtime/worker_books.hpp"
#include "worker/broadcast.hpp"
#include "worker/serve.hpp"
#include "worker/spin.hpp"
#include "worker/wake.hpp"
#include "worker/zygote.hpp"
#include <bulkhead/detail/job.hpp>
#include <bulkhead/options.hpp>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <sys/types.h>
#include <thread>
#include <utility>
#include <vector>

namespace bulkhead::detail {

class Coordinator final : public Engine, public std::enable_shared_from_this<Coordinator> {
 public:
  using Clock = std::chrono::steady_clock;

  /// Starts the zygote and the workers. `options` have been validated. Throws SystemError, and what
  /// Start::launch() throws, and leaves nothing behind, if the system refuses any of it.
  Coordinator(const Options& options, int workers, const Start& start);
  /// Terminates.
  ~Coordinator() override;

  RunReport run(Job& job, const CallOptions& options) override;
  std::shared_ptr<RunningCall> start(std::shared_ptr<PendingCall> call) override;
  std::shared_ptr<RunningCall> submit(const SubmissionKey& key,
                                      const std::function<std::shared_ptr<SubmittedCalls>()>& make,
                                      Submission call,
                                      std::optional<Clock::time_point> room_until) override;
  [[nodiscard]] bool takes_submissions() const override { return true; }
  std::shared_ptr<Pull> open(std::shared_ptr<PulledCall> call) override;
  int native_handle() override;
  void poll() override;
  void close() override;
  bool drain(Clock::time_point until) override;
  void join() override;
  void terminate() override;
  void dismiss() override;
  void resize(int workers) override;
  Stats stats() override;

  [[nodiscard]] int workers() const override { return size_; }
  [[nodiscard]] std::optional<std::uint64_t> worker_memory() const override {
    return setup_.limits.memory;
  }
  [[nodiscard]] std::weak_ptr<Engine> own() override { return weak_from_this(); }
  [[nodiscard]] bool is_copy() const override { return !is_owner(owner_); }

 private:
  using State = PoolState;
  class Inside;
  class Visit;
  struct Entry;      // an active job and its place in line
  struct Kept;       // one that outlives the call which began it
  class Background;  // one that nobody need wait for
  class Pulled;      // one that gets on while somebody pulls
  struct Function;   // calls of it that were submitted
  class Submitted;   // one of them
  class Room;        // for more of them
  class Quiet;       // nothing is under way
  struct Waiter;     // a thread that sleeps
  struct Goal;       // what a thread drives for
  using Lock = std::unique_lock<std::mutex>;

  // Entering and leaving.
  [[nodiscard]] Lock enter();
  [[nodiscard]] bool calls(std::thread::id thread) const;
  bool await_idle(Lock& lock, std::optional<Clock::time_point> until = std::nullopt);

  /// A result that is ready; of a call, also what is to be told of its progress.
  struct Ended {
    std::shared_ptr<Expected> result;
    std::shared_ptr<PendingCall> call = nullptr;
    std::optional<Progress> progress = {};
  };

  // Jobs.
  struct Definition {
    std::uint32_t number = 0;
    std::vector<std::byte> payload;
    bool temporary = false;        ///< has state or terms of its own: forgotten after the job
    std::uint64_t generation = 0;  ///< of the loaded modules when it was last looked up
  };
  Definition& definition_of(const Job& job, const CallOptions& options);
  void forget(const Definition& definition);
  void prepare(Kept& kept, KeptCall& call);
  [[nodiscard]] ModuleToken token_of(const void* function) const;
  void begin(Entry& entry);
  void await(Lock& lock, const Awaited& result, std::optional<Clock::time_point> until);
  bool await_told(Lock& lock, const Awaited& told, std::optional<Clock::time_point> until);
  void tell_again(std::shared_ptr<Expected> result);
  void finish_calls();
  std::shared_ptr<Function> begin_function(const SubmissionKey& key,
                                           std::shared_ptr<SubmittedCalls> calls);
  void finish_submitted();
  bool await_room(Lock& lock, Clock::time_point until);
  [[nodiscard]] bool has_room(bool counts_untold) const;
  void cancel(Function& function, std::uint64_t task);
  RunReport finish(Entry& entry);

  // Calls that somebody pulls.
  void pull(Lock& lock, Pulled& call, std::optional<Clock::time_point> until);
  void tend(Lock& lock, Pulled& call);
  void tell_progress(Lock& lock, Pulled& call);
  void end(Pulled& call, const char* message);
  void finish_pulled();

  // Sleeping, and looking after calls that nobody waits for.
  void sleep_until(Lock& lock, const Awaited* awaited, Clock::time_point time);
  void call_leaving();
  void call_leaving(Waiter& waiter);
  void call_teller();
  void call_driver();
  [[nodiscard]] bool goes_on_alone() const { return !background_.empty() || !functions_.empty(); }
  /// True if who waits for a result calls back, too.
  [[nodiscard]] bool tells_itself() const { return !loop_ && !helper_.joinable(); }
  void start_helper();
  void help();
  bool attend(Lock& lock);
  void tell(Lock& lock);
  void end_telling(Lock& lock);
  [[nodiscard]] bool report_due() const;
  bool report_progress(Lock& lock);

  // Leaving it to an event loop.
  void begin_polling();
  void look_after(Lock& lock, bool time_has_come);
  void leave_to_loop(bool gets_on);

  // Driving.
  /// With tasks out, nothing is waited for longer than this without a look around: a belt, for a
  /// worker that cannot ring any more.
  static constexpr std::chrono::milliseconds kBelt{1000};
  /// Time for the finalizers of workers that leave.
  static constexpr std::chrono::milliseconds kFinalizerTime{30000};
  /// The zygote has been asked for more than it has got round to: not for more before then.
  static constexpr std::chrono::milliseconds kBusyZygote{1};
  template <class Body>
  void driving(const Body& body);
  void drive(Lock& lock, const Goal& goal);
  [[nodiscard]] bool reached(const Goal& goal) const;
  Clock::time_point look_around(Lock& lock, bool gets_on);
  void note_entry();
  void yield_to_others(Lock& lock, bool gets_on);
  void reclaim(Lock& lock);
  bool pass(Clock::time_point now);
  bool serve(Slot& slot, Clock::time_point now);
  bool stream(Slot& slot, Clock::time_point now, Clock::time_point end);
  bool feed(Slot& slot, Clock::time_point now);
  [[nodiscard]] bool is_ranked() const;
  void make_way(Slot& slot);
  void take_turns();
  void tidy();
  void keep_time(Clock::time_point now);
  void heed_stops();
  bool finds_more();
  void park(Lock& lock, std::chrono::milliseconds limit);
  void divide_tasks();
  bool help_the_idle(std::chrono::nanoseconds least);
  [[nodiscard]] std::chrono::milliseconds patience();
  void sleep(Lock& lock, std::chrono::milliseconds timeout);
  void heed(const Wakeup& wakeup, bool time_has_come);
  bool arm_bells();
  bool has_news();
  void rouse();
  [[nodiscard]] int awake() const;
  [[nodiscard]] bool spare_cpu() const;
  void report_progress(Lock& lock, Entry& entry, bool last);

  // Being looked at.
  void fill(Stats& stats);
  void note_begin(Entry& entry);
  void note_end(const Entry& entry);
  void note_begin(Slot& slot);
  void note_start(const Slot& slot);
  void note_ready(const Slot& slot);
  void note_end(const Slot::Corpse& corpse, std::uint64_t Stats::Ends::*kind,
                const std::string& cause);
  void trace_failures(const Slot::Corpse& corpse, FailureKind kind);

  // Workers.
  void hire_all();
  void rehire(Slot& slot);
  void begin(Slot& slot, std::unique_ptr<Link> link, std::uint64_t epoch, int pid);
  void promote_spare(Slot& slot);
  [[nodiscard]] int request(Link& link, std::uint64_t epoch, Zygote::Duty duty);
  void note_refusal(int error);
  void keep_spare(Clock::time_point now);
  void keep_spare_after_call();
  [[nodiscard]] bool lacks_spare() const;
  void hear_of_spare(const ControlMessage& message);
  bool hear_zygote();
  void hear_workers();
  void require_zygote();
  void hear(const ControlMessage& message);
  void note_death(Slot& slot, const ControlMessage& message);
  void see_death(std::uint64_t epoch);
  Slot::Corpse clear_away(Slot& slot);
  void explain(Slot::Corpse corpse, const ControlMessage& message);
  [[nodiscard]] FailureDetails blame_for(const ControlMessage& message,
                                         const Slot::Corpse& corpse) const;
  void note_failed_start(const std::string& who, bool told, const std::string& cause);
  void tell_of_death(const Slot::Corpse& corpse, FailureDetails blame);
  void note_failed_rebuilding(std::uint32_t callable, const FailureDetails& blame);
  void replace_missing(Clock::time_point now);
  bool recall(Clock::time_point now);
  [[nodiscard]] bool has_work();
  void after_drain(Slot& slot);
  void weigh(Slot& slot, Clock::time_point now);
  [[nodiscard]] bool keeps_much(const Slot& slot) const;
  void retire(Slot& slot);
  void add_place();
  void send_away(Slot& slot);
  void drop_places();
  void signal(Slot& slot, int number);
  void give_up(State state, FailureKind kind, std::string why);
  void abandon_jobs(FailureKind kind);
  [[nodiscard]] bool anyone_alive() const;

  /// A worker that is there already when another dies, so that a death costs no fork: it waits
  /// before its initializer.
  struct Spare {
    std::unique_ptr<Link> link;  ///< null: it has not been asked for
    std::uint64_t epoch = 0;
    int pid = 0;  ///< 0: it has not been forked yet
  };

  const pid_t owner_;
  const int cpus_;  ///< that this process may use
  const Log log_;
  const std::string replay_dir_;  ///< empty: failed tasks are not saved
  const TimeLimit longest_start_;
  const std::optional<std::uint64_t> most_tasks_;   ///< of a worker that is not recycled
  const std::optional<std::uint64_t> most_growth_;  ///< bytes; of a worker that is not recycled
  const bool may_start_helper_;
  const std::uint64_t most_in_flight_;  ///< calls, of those that wait for room
  const StartMethod start_method_;
  const std::uint64_t generation_;  ///< of the loaded modules when the workers' snapshot was taken
  WorkerSetup setup_;
  Doorbell doorbell_;             ///< the workers'
  Doorbell own_bell_;             ///< of this process's threads: no worker can make that one block
  std::optional<PeekPipe> peek_;  ///< if there are transcripts
  std::unique_ptr<Zygote> zygote_;
  std::unique_ptr<EventSet> events_;
  std::optional<LoopHandle> loop_;  ///< from when an event loop does what the helper would
  bool polling_ = false;            ///< it does it now

  std::atomic<std::thread::id>
      inside_{};                         ///< the thread that holds the mutex and may run user code
  std::atomic<unsigned> entered_{0};     ///< threads that have got it
  std::atomic<unsigned> entering_{0};    ///< threads that want the mutex while one drives
  std::atomic<bool> reclaiming_{false};  ///< who drives wants it back
  Clock::time_point may_work_until_{};   ///< until then who drives need not let others in
  std::mutex mutex_;
  std::condition_variable changed_;  ///< a job is done, or nobody drives any more
  bool driving_ = false;
  bool untidy_ = false;  ///< tidy() has something to do though there may be no progress
  State state_ = State::open;
  bool leaving_ = false;  ///< workers have been asked to leave: none is replaced
  std::string cause_;     ///< why the pool is broken
  int refusal_ = 0;       ///< errno of the last fork that was refused
  std::string last_start_failure_;
  std::list<Entry*> jobs_;                             ///< by priority, then in turns
  std::list<std::shared_ptr<Background>> background_;  ///< those that nobody need wait for
  std::list<std::shared_ptr<Pulled>> pulled_;          ///< those that somebody pulls
  std::map<SubmissionKey, std::shared_ptr<Function>> functions_;  ///< with calls on their way
  std::deque<Ended> ended_;   ///< of those, with callbacks to be called
  std::thread::id teller_{};  ///< the thread that calls them
  std::vector<Waiter*> waiters_;
  int waiting_on_teller_ = 0;       ///< threads
  Waiter* helper_waits_ = nullptr;  ///< null: it has something to do, or there is none
  bool helper_leaves_ = false;
  std::thread helper_;
  std::optional<Trace> trace_;  ///< nothing: none is wanted
  /// What has been: jobs that are over, workers that have ended.
  struct Past {
    Tally tally;
    WorkFigures work;
    Stats::Ends ends;
    std::uint64_t calls = 0;  ///< that have begun
    std::uint64_t starts = 0;
    std::uint64_t refusals = 0;
  } past_;
  ShownFigures shown_;
  std::atomic<int> size_;   ///< workers that were asked for
  std::deque<Slot> slots_;  ///< theirs, and behind them those of workers that are to leave
  std::vector<Slot::Corpse> fallen_;      ///< workers that are dead, while it is not known of what
  std::unique_ptr<Link> unmapped_later_;  ///< of the last of them
  bool unheard_ = false;                  ///< a worker may have said more than its answers
  std::uint64_t next_epoch_ = 1;
  Spare spare_;
  Clock::time_point spare_due_;  ///< not before
  bool spare_used_ = false;      ///< in the present call
  Restarts restarts_;
  Clock::time_point last_control_check_{};
  Clock::time_point last_rouse_{};
  Spin spin_;
  Spin stream_spin_;
  std::size_t first_to_stream_ = 0;  ///< the slot that a pass begins with
  bool look_at_all_ = false;         ///< this pass does, however little they have got on
  Clock::time_point last_look_at_all_{};
  bool impatient_ =
      false;  ///< bells are to ring at each step: some worker has been silent for long

  std::uint32_t next_callable_ = 1;
  std::map<std::pair<FunctionKey, bool>, Definition>
      definitions_;  ///< by Job::numbers_tasks(), too
  std::list<Definition> temporary_;
};

/// Marks that code of the user's may be running under the mutex, in this thread.
class Coordinator::Inside {
 public:
  explicit Inside(std::atomic<std::thread::id>& place)
      : place_(place), before_(place.exchange(std::this_thread::get_id())) {}
  ~Inside() { place_.store(before_); }
  Inside(const Inside&) = delete;
  Inside& operator=(const Inside&) = delete;

 private:
  std::atomic<std::thread::id>& place_;
  std::thread::id before_;
  TakingResults taking_;
};

/// An active call, and the thread that waits for it.
struct Coordinator::Entry : ActiveCall, Awaited {
  Entry(Job& job, const Definition& a_definition, const CallOptions& call_options)
      : ActiveCall{ActiveJob(job, a_definition.number, a_definition.payload, call_options),
                   call_options},
        definition(&a_definition) {}

  [[nodiscard]] bool ready() const override {
    return done() || (pulled != nullptr && pulled->wants_exchange());
  }

  const Definition* const definition;
  std::thread::id thread = std::this_thread::get_id();  ///< that has called; none: it goes on alone
  const PulledCall* pulled = nullptr;  ///< null: all that is wanted of it is its end
  std::list<Entry*>::iterator place = {};
};

/// The coordinator as a handle enters it. If it is gone it has ended its calls.
class Coordinator::Visit {
 public:
  explicit Visit(const std::weak_ptr<Coordinator>& engine) : engine_(engine.lock()) {
    if (!engine_) return;
    require_owner(engine_->owner_);
    lock_ = engine_->enter();
  }
  [[nodiscard]] explicit operator bool() const { return engine_ != nullptr; }
  Coordinator* operator->() const { return engine_.get(); }
  [[nodiscard]] Lock& lock() { return lock_; }

 private:
  std::shared_ptr<Coordinator> engine_;
  Lock lock_;
};

struct Coordinator::Kept {
  std::optional<Entry> entry;
  std::optional<std::stop_callback<std::function<void()>>> wake;
};

/// A thread that sleeps until `awaited` is ready, or nobody drives; without one, until there is
/// something to do.
struct Coordinator::Waiter {
  const Awaited* awaited = nullptr;
  /// It is counted among those that want the mutex, as it does not have to wait.
  bool is_leaving = false;
};

/// A thread drives until `awaited` is ready; without one, until there are no calls that go on by
/// themselves. The helper sooner: as soon as another thread waits, which may as well drive, or
/// there is something to tell.
struct Coordinator::Goal {
  const Awaited* awaited = nullptr;
  std::optional<Clock::time_point> until = {};  ///< no longer than that, but for one pass
  bool is_helpers = false;
  bool is_glance = false;  ///< one pass, though it may be ready
};

class Coordinator::Background final : public RunningCall, public Kept {
 public:
  Background(std::weak_ptr<Coordinator> engine, std::shared_ptr<PendingCall> pending)
      : pool(std::move(engine)), call(std::move(pending)) {}

  void wait_for(const Awaited& goal, std::optional<Time> until) override;
  bool wait_for_teller(const Awaited& told, std::optional<Time> until) override;
  [[nodiscard]] const void* engine() const override { return pool.lock().get(); }
  void cancel() override;
  void tell_again(std::shared_ptr<Expected> again) override;

  const std::weak_ptr<Coordinator> pool;
  std::shared_ptr<PendingCall> call;  ///< null once it has been finished
  std::exception_ptr error;           ///< of the progress function
};

struct Coordinator::Function : Kept {
  explicit Function(std::shared_ptr<SubmittedCalls> submitted) : calls(std::move(submitted)) {}

  std::shared_ptr<SubmittedCalls> calls;
};

class Coordinator::Submitted final : public RunningCall {
 public:
  Submitted(std::weak_ptr<Coordinator> engine, std::shared_ptr<Function> function,
            const Expected& result, std::uint64_t task)
      : pool_(std::move(engine)), function_(std::move(function)), result_(result), task_(task) {}

  void wait_for(const Awaited& goal, std::optional<Time> until) override;
  bool wait_for_teller(const Awaited& told, std::optional<Time> until) override;
  [[nodiscard]] const void* engine() const override { return pool_.lock().get(); }
  void cancel() override;
  void tell_again(std::shared_ptr<Expected> again) override;

 private:
  const std::weak_ptr<Coordinator> pool_;
  const std::shared_ptr<Function> function_;
  const Expected& result_;  ///< it is what calls
  const std::uint64_t task_;
};

class Coordinator::Pulled final : public Pull, public Kept {
 public:
  Pulled(std::weak_ptr<Coordinator> pool, std::shared_ptr<PulledCall> pulled)
      : engine(std::move(pool)), call(*pulled), kept(std::move(pulled)) {}

  void exchange(std::optional<Time> until) override;
  void tend() override;
  void cancel() override;

  const std::weak_ptr<Coordinator> engine;
  PulledCall& call;                  ///< it is what calls
  std::shared_ptr<PulledCall> kept;  ///< null once it has been finished
  bool told_end = false;             ///< to options.progress
};

/// The calling thread drives. Whatever goes wrong ends the pool.
template <class Body>
void Coordinator::driving(const Body& body) {
  const Inside inside(inside_);
  driving_ = true;
  try {
    body();
  } catch (const std::exception& error) {
    // Out of memory, or a bug of ours: the books cannot be trusted any more.
    give_up(State::broken, FailureKind::not_run,
            std::string("bulkhead: the coordinator failed: ") + error.what());
  }
  driving_ = false;
  changed_.notify_all();
}

}  // namespace bulkhead::detail
