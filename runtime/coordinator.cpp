// SPDX-License-Identifier: MIT
#include "runtime/coordinator.hpp"

#include "runtime/definition.hpp"
#include "runtime/options.hpp"
#include "worker/host.hpp"
#include <bulkhead/error.hpp>

#include <algorithm>
#include <stop_token>

namespace bulkhead::detail {
namespace {

using std::chrono::milliseconds;

/// Who wants in waits no longer than this for who drives, but for what cannot be interrupted. Only
/// where CPUs are scarce does anybody wait that long: see yield_to_others().
constexpr milliseconds kLongestTurn{10};

}  // namespace

// ---------------------------------------------------------------------------------------------------
// Entering and leaving

Coordinator::Lock Coordinator::enter() {
  if (inside_.load() == std::this_thread::get_id()) refuse_use_by_own_call();
  entering_.fetch_add(1);
  reclaiming_.wait(true);
  Lock lock(mutex_);
  note_entry();
  return lock;
}

void Coordinator::note_entry() {
  entering_.fetch_sub(1);
  entered_.fetch_add(1);
  entered_.notify_all();
}

/// A mutex is not fair: who drives must step back for those who want in, though not for those who
/// come while it waits; and as long as it gets on, not before it has worked as long as it waited
/// last, or many short calls would hold up a long one.
void Coordinator::yield_to_others(Lock& lock, bool gets_on) {
  const unsigned waiting = entering_.load();
  if (waiting == 0) return;
  const auto began = Clock::now();
  if (gets_on && began < may_work_until_) return;
  const unsigned before = entered_.load();
  lock.unlock();
  for (unsigned now = before; now - before < waiting; now = entered_.load()) entered_.wait(now);
  reclaim(lock);
  const auto ended = Clock::now();
  may_work_until_ = ended + std::min<Clock::duration>(ended - began, kLongestTurn);
}

/// The other way round: who drives gets the mutex back though others come and go all the time.
void Coordinator::reclaim(Lock& lock) {
  reclaiming_.store(true);
  lock.lock();
  reclaiming_.store(false);
  reclaiming_.notify_all();
}

void Coordinator::close() {
  require_owner(owner_);
  const Lock lock = enter();
  if (state_ == State::open) state_ = State::closed;
}

/// All calls have ended, nobody drives, and what there was to tell has been told; or time is up.
class Coordinator::Quiet final : public Awaited {
 public:
  Quiet(const Coordinator& engine, std::optional<Clock::time_point> until)
      : engine_(engine), until_(until) {}
  [[nodiscard]] bool ready() const override { return all_ended() || time_is_up(); }
  /// What a callback waits for is not the end of callbacks.
  [[nodiscard]] bool all_ended() const {
    const bool told = engine_.ended_.empty() && engine_.teller_ == std::thread::id{};
    return engine_.jobs_.empty() && !engine_.driving_ && (told || engine_.teller_ == self_);
  }

 private:
  [[nodiscard]] bool time_is_up() const { return until_ && Clock::now() >= *until_; }

  const Coordinator& engine_;
  const std::optional<Clock::time_point> until_;
  const std::thread::id self_ = std::this_thread::get_id();
};

/// False if that took until then.
bool Coordinator::await_idle(Lock& lock, std::optional<Clock::time_point> until) {
  const Quiet quiet(*this, until);
  const auto soon = [&](milliseconds time) {
    return std::min(Clock::now() + time, until.value_or(Clock::time_point::max()));
  };
  while (!quiet.ready()) {
    if ((loop_ || !helper_.joinable()) && attend(lock)) continue;
    if (driving_ || !goes_on_alone()) {
      sleep_until(lock, &quiet, soon(kBelt));
    } else {
      drive(lock, {nullptr, soon(kProgressInterval)});
    }
  }
  return quiet.all_ended();
}

/// True if that thread is in one, or reads its results.
bool Coordinator::calls(std::thread::id thread) const {
  return std::any_of(jobs_.begin(), jobs_.end(),
                     [&](const Entry* job) { return job->thread == thread; });
}

bool Coordinator::drain(Clock::time_point until) {
  require_owner(owner_);
  Lock lock = enter();
  require_outside("drain", calls(std::this_thread::get_id()));
  if (state_ == State::open) state_ = State::closed;
  return await_idle(lock, until);
}

void Coordinator::join() {
  require_owner(owner_);
  Lock lock = enter();
  require_outside("join", calls(std::this_thread::get_id()));
  require_ending(state_);
  await_idle(lock);
  if (!zygote_) return;
  const Inside inside(inside_);
  leaving_ = true;
  driving_ = true;
  for (Slot& slot : slots_) slot.dismiss();
  const auto deadline = Clock::now() + kFinalizerTime;
  while (zygote_ && anyone_alive() && Clock::now() < deadline) {
    yield_to_others(lock, false);
    pass(Clock::now());
    park(lock, kBelt);
  }
  if (anyone_alive()) log_.warn("workers were killed: their finalizers took longer than 30 s");
  driving_ = false;
  give_up(state_, FailureKind::cancelled, "the pool was closed");
}

void Coordinator::terminate() {
  require_owner(owner_);
  const Lock lock = enter();
  if (state_ == State::terminated) return;
  const Inside inside(inside_);
  give_up(State::terminated, FailureKind::cancelled, "the pool was terminated");
}

// ---------------------------------------------------------------------------------------------------
// Jobs

RunReport Coordinator::run(Job& job, const CallOptions& options) {
  require_owner(owner_);
  require_sensible(options);
  Lock lock = enter();
  require_open(state_, cause_);
  // Gone before the lock is: nobody rings after the pool may have ended.
  const std::stop_callback wake(options.stop, [this] { static_cast<void>(own_bell_.ring()); });
  std::optional<Entry> own;
  {
    const Inside inside(inside_);
    const Definition& definition = definition_of(job, options);
    own.emplace(job, definition, options);
    begin(*own);
    if (driving_) own_bell_.ring();
  }
  Entry& entry = *own;
  std::exception_ptr error;
  while (!entry.done()) {
    try {
      const auto next_report = options.progress && !error
                                   ? std::optional(entry.last_report + kProgressInterval)
                                   : std::nullopt;
      if (driving_) {
        sleep_until(lock, &entry, next_report.value_or(Clock::now() + kBelt));
      } else {
        drive(lock, {&entry, next_report});
      }
      if (!error) report_progress(lock, entry, entry.done());
    } catch (...) {
      error = std::current_exception();
      entry.active.abandon("its call was given up");
      untidy_ = true;
      if (driving_) own_bell_.ring();
    }
  }
  RunReport report = finish(entry);
  changed_.notify_all();
  if (error) std::rethrow_exception(error);
  return report;
}

RunReport Coordinator::finish(Entry& entry) {
  jobs_.erase(entry.place);
  if (entry.definition->temporary) forget(*entry.definition);
  RunReport report = entry.report();
  note_end(entry);
  return report;
}

/// Takes its place in line.
void Coordinator::begin(Entry& entry) {
  note_begin(entry);
  if (!replay_dir_.empty()) entry.active.saver.emplace(replay_dir_, log_);
  entry.active.prime();
  const auto before = std::find_if(jobs_.rbegin(), jobs_.rend(), [&](const Entry* other) {
    return other->options.priority >= entry.options.priority;
  });
  entry.place = jobs_.insert(before.base(), &entry);
  entry.heed_stop();
  if (!is_ranked()) return;
  for (Slot& slot : slots_) make_way(slot);
}

/// All that may fail when a call begins that is kept.
void Coordinator::prepare(Kept& kept, KeptCall& call) {
  Job& job = call.job();
  const CallOptions& options = call.options();
  kept.entry.emplace(job, definition_of(job, options), options);
  kept.entry->thread = {};
  kept.wake.emplace(options.stop, [this] { static_cast<void>(own_bell_.ring()); });
}

Coordinator::Definition& Coordinator::definition_of(const Job& job, const CallOptions& options) {
  const auto encode = [&] {
    return encode_definition(job, options, [this](const void* code) { return token_of(code); });
  };
  if (job.has_state() || !has_usual_terms(options)) {
    temporary_.push_back({next_callable_++, encode(), true, 0});
    return temporary_.back();
  }
  const auto key = std::pair(FunctionKey(job.describe(), job.function()), job.numbers_tasks());
  const auto found = definitions_.find(key);
  const std::uint64_t generation = ModuleMap::generation();
  if (found != definitions_.end() && found->second.generation == generation) return found->second;
  // Where modules have come and gone, the same address may be another function: looked at again.
  std::vector<std::byte> payload = encode();
  if (found == definitions_.end()) {
    const Definition made{next_callable_++, std::move(payload), false, generation};
    return definitions_.emplace(key, made).first->second;
  }
  found->second.generation = generation;
  return found->second;
}

void Coordinator::forget(const Definition& definition) {
  const std::uint32_t number = definition.number;
  for (Slot& slot : slots_) slot.drop(number);
  temporary_.remove_if([number](const Definition& other) { return other.number == number; });
}

ModuleToken Coordinator::token_of(const void* function) const {
  const std::optional<ModuleToken> then = setup_.modules.token(function);
  // A module may have been replaced by another at the same address since the snapshot.
  const bool unchanged = ModuleMap::generation() == generation_;
  if (then && (unchanged || ModuleMap::present().token(function) == then)) return *then;
  throw Error("bulkhead: the function is in " + ModuleMap::name_of(function) +
              (start_method_ == StartMethod::fork
                   ? ", which was loaded after the pool's workers were forked, so they do not have "
                     "it; make "
                     "the Pool after loading the module"
                   : ", which was loaded after bulkhead::init(), so the pool's workers do not have "
                     "it; load "
                     "the module before, or make a Pool with StartMethod::fork after that"));
}

void Coordinator::report_progress(Lock& lock, Entry& entry, bool last) {
  const std::optional<Progress> progress = entry.progress(Clock::now(), last);
  if (!progress) return;
  lock.unlock();
  try {
    entry.options.progress(*progress);
  } catch (...) {
    lock.lock();
    throw;
  }
  lock.lock();
  entry.last_report = Clock::now();  // however long it has taken
}

void Coordinator::abandon_jobs(FailureKind kind) {
  for (Entry* entry : jobs_) {
    if (entry->done()) continue;
    entry->give_up(kind, cause_);
  }
}

}  // namespace bulkhead::detail
