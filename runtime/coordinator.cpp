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

/// Who wants in waits no longer than this for who drives, but for what cannot be interrupted.
constexpr milliseconds kLongestTurn{1};

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

void Coordinator::await_idle(Lock& lock) {
  const bool calls_back = teller_ == std::this_thread::get_id();
  const auto told = [&] { return calls_back || (ended_.empty() && teller_ == std::thread::id{}); };
  while (!jobs_.empty() || driving_ || !told()) {
    if ((loop_ || !helper_.joinable()) && attend(lock)) continue;
    if (driving_ || !goes_on_alone()) {
      sleep_until(lock, nullptr, Clock::now() + kBelt);
    } else {
      drive(lock, {nullptr, Clock::now() + kProgressInterval});
    }
  }
}

void Coordinator::join() {
  require_owner(owner_);
  Lock lock = enter();
  const auto self = std::this_thread::get_id();
  require_joinable(state_, std::any_of(jobs_.begin(), jobs_.end(),
                                       [&](Entry* job) { return job->thread == self; }));
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
  entry.place = jobs_.insert(jobs_.end(), &entry);
  entry.heed_stop();
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
    temporary_.push_back({next_callable_++, encode(), true});
    return temporary_.back();
  }
  const auto key = std::pair(FunctionKey(job.describe(), job.function()), job.numbers_tasks());
  const auto found = definitions_.find(key);
  if (found != definitions_.end() && ModuleMap::generation() == generation_) return found->second;
  // Where modules have come and gone, the same address may be another function: looked at again.
  std::vector<std::byte> payload = encode();
  if (found != definitions_.end()) return found->second;
  return definitions_.emplace(key, Definition{next_callable_++, std::move(payload), false})
      .first->second;
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
  if (then && (unchanged || ModuleMap::snapshot().token(function) == then)) return *then;
  throw Error(
      "bulkhead: the function is in " + ModuleMap::name_of(function) +
      ", which was loaded after the pool's workers were forked, so they do not have it; make the "
      "Pool after loading the module");
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
