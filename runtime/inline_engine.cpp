// SPDX-License-Identifier: MIT
#include "runtime/inline_engine.hpp"

#include "runtime/definition.hpp"
#include "runtime/options.hpp"
#include "runtime/time.hpp"
#include "worker/broadcast.hpp"
#include "worker/host.hpp"
#include <bulkhead/detail/exception_record.hpp>
#include <bulkhead/detail/kept_loans.hpp>
#include <bulkhead/detail/map_job.hpp>
#include <bulkhead/error.hpp>

#include <algorithm>
#include <chrono>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <variant>

namespace bulkhead::detail {
namespace {

using Clock = std::chrono::steady_clock;

/// The failure of a task that was told to end, and has.
FailureDetails told_failure(const LocalTask& task, TimeLimit limit) {
  FailureDetails details;
  if (task.told == LocalTask::Told::late) {
    details.kind = FailureKind::timed_out;
    details.message = "it ran for longer than " + to_text(*limit);
  } else {
    details.kind = FailureKind::cancelled;
    details.message = "a stop was requested";
  }
  details.message += "; it was told, and ended";
  return details;
}

}  // namespace

/// A thread is in a call, or has begun one.
class InlineEngine::Visit {
 public:
  explicit Visit(InlineEngine& engine) : engine_(engine) {
    const Lock lock(engine.mutex_);
    require_open(engine.state_, engine.cause_);
    engine.calls_.push_back(thread_);
  }
  Visit(const Visit&) = delete;
  Visit& operator=(const Visit&) = delete;
  ~Visit() {
    const Lock lock(engine_.mutex_);
    auto& calls = engine_.calls_;
    calls.erase(std::find(calls.begin(), calls.end(), thread_));
    engine_.changed_.notify_all();
  }

 private:
  InlineEngine& engine_;
  const std::thread::id thread_ = std::this_thread::get_id();
};

/// The right to run code of the user's. Threads get it by the priority of their calls, and then in
/// the order in which they ask.
class InlineEngine::Turn {
 public:
  Turn(InlineEngine& engine, int priority) : engine_(engine) {
    Lock lock(engine.mutex_);
    const auto own = engine.line_.emplace(-std::int64_t{priority}, engine.next_turn_++).first;
    engine.changed_.wait(
        lock, [&] { return engine.runner_ == std::thread::id{} && own == engine.line_.begin(); });
    engine.line_.erase(own);
    engine.runner_ = std::this_thread::get_id();
  }
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;
  ~Turn() {
    const Lock lock(engine_.mutex_);
    engine_.runner_ = {};
    engine_.changed_.notify_all();
  }

 private:
  InlineEngine& engine_;
};

struct InlineEngine::Definition {
  const std::vector<std::byte> definition;
};

struct InlineEngine::Call : Definition, ActiveCall {
  Call(InlineEngine& engine, Job& job, const CallOptions& call_options)
      : Call(Turn(engine, call_options.priority), engine, job, call_options) {}

  LocalCallable callable;

 private:
  Call(const Turn&, InlineEngine& engine, Job& job, const CallOptions& call_options)
      : Definition{engine.define(job, call_options)},
        ActiveCall{ActiveJob(job, 0, definition, call_options), call_options},
        callable(definition) {
    engine.note_begin(*this, call_options);
    if (!engine.replay_dir_.empty()) active.saver.emplace(engine.replay_dir_, engine.log_);
    active.prime();
    heed_stop();
  }
};

InlineEngine::InlineEngine(const Options& options, int workers)
    : owner_(own_pid()),
      depth_(LocalScope::depth()),
      workers_(workers),
      log_(options.logger),
      replay_dir_(options.replay_dir),
      initializer_(options.initializer),
      finalizer_(options.finalizer) {
  if (!options.trace.empty()) {
    trace_.emplace(options.trace, log_);
    trace_->fork_worker(0);
  }
  log_.debug("tasks run inline, in this process");
}

// ---------------------------------------------------------------------------------------------------
// Who may do what

void InlineEngine::require_usable() {
  require_owner(owner_);
  if (LocalScope::depth() > depth_) {
    throw PoolClosed(
        "bulkhead: a task cannot use the pool that it runs in, nor others that were made before; "
        "make a new Pool in the task");
  }
  const Lock lock(mutex_);
  if (runner_ == std::this_thread::get_id()) refuse_use_by_own_call();
}

int InlineEngine::native_handle() {
  require_usable();
  const Lock lock(mutex_);
  if (!silent_bell_) silent_bell_.emplace();
  return silent_bell_->fd();
}

void InlineEngine::close() {
  require_usable();
  const Lock lock(mutex_);
  if (state_ == State::open) state_ = State::closed;
}

void InlineEngine::terminate() {
  require_usable();
  end();
}

/// Streams may outlive the pool.
void InlineEngine::dismiss() {
  end();
  const Lock lock(mutex_);
  trace_.reset();
}

void InlineEngine::resize(int workers) {
  require_usable();
  require_workers(workers, "the number of workers for Pool::resize");
  const Lock lock(mutex_);
  require_open(state_, cause_);
  workers_ = workers;
}

void InlineEngine::end() {
  {
    const Lock lock(mutex_);
    state_ = State::terminated;
    changed_.notify_all();
  }
  end_.request_stop();
}

/// True if this thread is in a call.
bool InlineEngine::is_calling() const {
  return std::find(calls_.begin(), calls_.end(), std::this_thread::get_id()) != calls_.end();
}

bool InlineEngine::drain(RunningCall::Time until) {
  require_usable();
  Lock lock(mutex_);
  require_outside("drain", is_calling());
  if (state_ == State::open) state_ = State::closed;
  return changed_.wait_until(lock, until, [this] { return calls_.empty(); });
}

void InlineEngine::join() {
  require_usable();
  {
    Lock lock(mutex_);
    require_outside("join", is_calling());
    require_ending(state_);
    changed_.wait(lock, [this] { return calls_.empty(); });
    if (state_ != State::closed) return;
  }
  const Turn turn(*this, 0);
  if (!std::exchange(is_set_up_, false) || !finalizer_) return;
  try {
    const LocalScope scope(nullptr);
    finalizer_();
  } catch (...) {
    const FailureDetails why = describe_current_exception();
    log_.error("a finalizer threw " + why.type_name + ": " + why.message);
  }
}

// ---------------------------------------------------------------------------------------------------
// Calls

namespace {

/// One that has ended.
class EndedCall final : public RunningCall {
 public:
  void wait_for(const Awaited&, std::optional<Time>) override {}
  [[nodiscard]] const void* engine() const override { return nullptr; }
  void cancel() override {}
  void tell_again(std::shared_ptr<Expected> result) override {
    while (result->tell()) {
    }
  }
};

}  // namespace

std::shared_ptr<RunningCall> InlineEngine::start(std::shared_ptr<PendingCall> call) {
  std::exception_ptr error;
  RunReport report;
  try {
    report = run(call->job(), call->options());
  } catch (const Error&) {
    throw;
  } catch (...) {
    error = std::current_exception();
  }
  call->finish(report, error);
  while (call->result()->tell()) {
  }
  return std::make_shared<EndedCall>();
}

RunReport InlineEngine::run(Job& job, const CallOptions& options) {
  require_usable();
  require_sensible(options);
  const Visit visit(*this);
  std::optional<Call> call(std::in_place, *this, job, options);
  while (!call->done()) {
    step(*call);
    report_progress(*call);
  }
  const Turn turn(*this, options.priority);
  RunReport report = call->report();
  note_end(*call);
  call.reset();
  return report;
}

/// It runs tasks while somebody pulls.
class InlineEngine::Pulled final : public Pull {
 public:
  Pulled(std::shared_ptr<InlineEngine> engine, std::shared_ptr<PulledCall> pulled)
      : engine_(std::move(engine)),
        visit_(std::in_place, *engine_),
        call_(*pulled),
        kept_(std::move(pulled)),
        books_(*engine_, call_.job(), call_.options()) {}

  void exchange(std::optional<Time> until) override {
    engine_->require_usable();
    call_.give();
    while (kept_ && !call_.wants_exchange() && (!until || Clock::now() < *until)) {
      if (!books_.done()) engine_->step(books_);
      engine_->report_progress(books_);
      if (books_.done()) finish();
    }
    call_.take();
  }
  void tend() override {
    call_.give();
    call_.take();
  }
  void cancel() override {
    if (books_.ending || books_.done()) return;
    books_.cancel("the call was cancelled");
  }

 private:
  void finish() {
    const std::shared_ptr<PulledCall> call = std::move(kept_);
    const RunReport report = books_.report();
    engine_->note_end(books_);
    call->finish(report, nullptr);
    visit_.reset();
  }

  const std::shared_ptr<InlineEngine> engine_;
  std::optional<Visit> visit_;
  PulledCall& call_;                  ///< it is what calls
  std::shared_ptr<PulledCall> kept_;  ///< null once it has been finished
  Call books_;
};

std::shared_ptr<Pull> InlineEngine::open(std::shared_ptr<PulledCall> call) {
  require_usable();
  require_sensible(call->options());
  return std::make_shared<Pulled>(shared_from_this(), std::move(call));
}

std::vector<std::byte> InlineEngine::define(const Job& job, const CallOptions& options) {
  if (const std::uint64_t now = ModuleMap::generation(); now != generation_) {
    modules_ = ModuleMap::snapshot();
    generation_ = now;
  }
  return encode_definition(job, options, [this](const void* code) { return token_of(code); });
}

ModuleToken InlineEngine::token_of(const void* function) const {
  const std::optional<ModuleToken> token = modules_.token(function);
  if (!token) throw Error("bulkhead: the function to be sent is not code of a loaded module");
  return *token;
}

void InlineEngine::step(Call& call) {
  {
    const Turn turn(*this, call.options.priority);
    if (!may_go_on(call) || call.heed_stop()) return;
    call.active.release_due(Clock::now());
    const TaskRange range = call.active.take(1);
    if (range.count != 0) return run_task(call, range.first);
  }
  if (!call.done()) wait(call);
}

/// False if the call is given up, as the pool has ended.
bool InlineEngine::may_go_on(Call& call) {
  if (!is_set_up_) set_up();
  const Lock lock(mutex_);
  if (state_ == State::terminated) {
    call.give_up(FailureKind::cancelled, "the pool was terminated");
  } else if (state_ == State::broken) {
    call.give_up(FailureKind::not_run, cause_);
  }
  return call.given_up == nullptr;
}

void InlineEngine::set_up() {
  is_set_up_ = true;
  if (!initializer_) return;
  const auto begin = Clock::now();
  try {
    {
      const LocalScope scope(nullptr);
      initializer_();
    }
    const Lock lock(mutex_);
    const auto end = Clock::now();
    seen_.start = end - begin;
    if (trace_) trace_->start_worker(0, owner_, begin, end);
  } catch (...) {
    const FailureDetails why = describe_current_exception();
    const Lock lock(mutex_);
    if (state_ != State::terminated) state_ = State::broken;
    cause_ = "bulkhead: the pool is broken, no worker can be started: the initializer threw " +
             why.type_name + ": " + why.message;
    log_.error(cause_);
  }
}

void InlineEngine::run_task(Call& call, std::uint64_t task) {
  ActiveJob& active = call.active;
  SpillWriter argument({});
  try {
    active.job.encode_argument(task, argument);
  } catch (...) {
    const std::uint64_t element = active.job.element_of(task, kNoElement);
    Failure failure = local_failure(element, kWhileEncoding);
    const FailureKind kind = failure.kind();
    active.job.fail(task, std::move(failure));
    return active.refuse(task, kind);
  }
  LocalTask local;
  local.attempt = active.attempts.next(task);
  local.stop = call.options.stop;
  local.pool_end = end_.get_token();
  local.limit = active.timeout;
  local.restart_time();
  note_begin(call, task);
  const KeptLoans loans;  // results are decoded in the process in which they were made
  auto answer = call.callable.try_run(modules_, task, argument.take(), local);
  if (local.told != LocalTask::Told::nothing) answer = told_failure(local, active.timeout);
  if (auto* details = std::get_if<FailureDetails>(&answer)) {
    details->task = task;
    details->is_inline = true;
    const FailureKind kind = details->kind;
    const bool was_told = local.told != LocalTask::Told::nothing;
    active.fail(std::move(*details), was_told ? local.told_at : local.index.load());
    return note_end(call, task, local.attempt, to_string(kind));
  }
  const std::unique_ptr<LargeResult> result = active.job.receive(task);
  result->add(std::get<LocalCallable::Result>(answer));
  const Settled settled = result->finish();
  active.settle(task, settled);
  note_end(call, task, local.attempt, settled.failed != 0 ? "exception" : "value");
}

/// Until a task may be run again, progress is to be reported, or the call is to end.
void InlineEngine::wait(Call& call) {
  const std::optional<Clock::time_point> due = call.active.attempts.due();
  auto until = due.value_or(Clock::now());
  if (call.options.progress) until = std::min(until, call.last_report + kProgressInterval);
  Lock lock(mutex_);
  changed_.wait_until(lock, call.options.stop, until,
                      [this] { return state_ == State::terminated || state_ == State::broken; });
}

void InlineEngine::report_progress(ActiveCall& call) {
  const std::optional<Progress> progress = call.progress(Clock::now(), call.done());
  if (progress) call.options.progress(*progress);
}

}  // namespace bulkhead::detail
