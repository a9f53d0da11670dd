// SPDX-License-Identifier: MIT
#include "runtime/coordinator.hpp"

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

void Coordinator::require_owner() const {
  const pid_t self = own_pid();
  if (self == owner_) return;
  throw PoolClosed(
      "bulkhead: this pool belongs to process " + std::to_string(owner_) +
      " and cannot be used in process " + std::to_string(self) +
      ", a fork of it (a task that uses its own pool runs in one); make a new Pool there");
}

Coordinator::Lock Coordinator::enter() {
  if (inside_.load() == std::this_thread::get_id()) {
    throw Error(
        "bulkhead: the pool was used by the range, or by the coding of an element or a result, of "
        "a call that it is just serving; let the range be finished before the call");
  }
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

void Coordinator::require_open() const {
  switch (state_) {
    case State::open:
      return;
    case State::closed:
      throw PoolClosed("bulkhead: the pool is closed and takes no more calls; make a new Pool");
    case State::terminated:
      throw PoolClosed("bulkhead: the pool was terminated; make a new Pool");
    case State::broken:
      throw BrokenPool(cause_);
  }
}

void Coordinator::close() {
  require_owner();
  const Lock lock = enter();
  if (state_ == State::open) state_ = State::closed;
}

void Coordinator::await_idle(Lock& lock) {
  changed_->wait(lock, [this] { return jobs_.empty() && !driving_; });
}

void Coordinator::join() {
  require_owner();
  Lock lock = enter();
  const auto self = std::this_thread::get_id();
  if (std::any_of(jobs_.begin(), jobs_.end(), [&](Entry* job) { return job->thread == self; })) {
    throw Error("bulkhead: join() from within a call of the same thread would wait for itself");
  }
  if (state_ == State::open)
    throw Error("bulkhead: join() before close() or terminate() would wait for ever");
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
  require_owner();
  const Lock lock = enter();
  if (state_ == State::terminated) return;
  const Inside inside(inside_);
  give_up(State::terminated, FailureKind::cancelled, "the pool was terminated");
}

// ---------------------------------------------------------------------------------------------------
// Jobs

RunReport run_job(Coordinator& coordinator, Job& job, const CallOptions& options) {
  return coordinator.run(job, options);
}

RunReport Coordinator::run(Job& job, const CallOptions& options) {
  require_owner();
  require_sensible(options);
  Lock lock = enter();
  require_open();
  // Gone before the lock is: nobody rings after the pool may have ended.
  const std::stop_callback wake(options.stop, [this] { static_cast<void>(doorbell_.ring()); });
  const Definition* definition = nullptr;
  std::optional<Entry> own;
  {
    const Inside inside(inside_);
    definition = &definition_of(job, options.timeout);
    own.emplace(Entry{ActiveJob(job, definition->number, definition->payload, options), options});
    own->active.prime();
  }
  Entry& entry = *own;
  const auto place = jobs_.insert(jobs_.end(), &entry);
  entry.heed_stop();
  if (driving_) doorbell_.ring();
  std::exception_ptr error;
  while (!entry.done()) {
    try {
      if (driving_) {
        entry.is_waiting = true;
        changed_->wait_for(lock, options.progress ? kProgressInterval : kBelt);
        entry.is_waiting = false;
        if (std::exchange(entry.is_leaving, false)) note_entry();
      } else {
        drive(lock, entry);
      }
      if (!error) report_progress(lock, entry, entry.done());
    } catch (...) {
      error = std::current_exception();
      entry.active.abandon();
      untidy_ = true;
      if (driving_) doorbell_.ring();
    }
  }
  jobs_.erase(place);
  if (!entry.given_up && !entry.complete()) entry.given_up = std::move(entry.ending);
  if (entry.given_up) entry.active.give_up_retries(*entry.given_up);
  if (definition->temporary) forget(*definition);
  changed_->notify_all();
  if (error) std::rethrow_exception(error);
  return {std::move(entry.given_up), entry.active.ledger.known()};
}

Coordinator::Definition& Coordinator::definition_of(const Job& job, TimeLimit limit) {
  if (job.has_state() || limit) {
    temporary_.push_back({next_callable_++, encode_definition(job, limit), true});
    return temporary_.back();
  }
  const auto key = std::pair(job.describe(), job.function());
  const auto found = definitions_.find(key);
  if (found != definitions_.end() && ModuleMap::generation() == generation_) return found->second;
  // Where modules have come and gone, the same address may be another function: looked at again.
  std::vector<std::byte> payload = encode_definition(job, limit);
  if (found != definitions_.end()) return found->second;
  return definitions_.emplace(key, Definition{next_callable_++, std::move(payload), false})
      .first->second;
}

void Coordinator::forget(const Definition& definition) {
  const std::uint32_t number = definition.number;
  for (Slot& slot : slots_) slot.drop(number);
  temporary_.remove_if([number](const Definition& other) { return other.number == number; });
}

std::vector<std::byte> Coordinator::encode_definition(const Job& job, TimeLimit limit) const {
  SpillWriter out({});
  out.put(token_of(reinterpret_cast<const void*>(job.describe())));
  out.put(job.function() != nullptr ? token_of(job.function()) : ModuleToken{});
  out.put(limit ? std::int64_t{limit->count()} : 0);
  job.encode_state(out);
  return out.take();
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
  if (!entry.options.progress) return;
  const auto now = Clock::now();
  if (!last && now - entry.last_report < kProgressInterval) return;
  entry.last_report = now;
  const Ledger& ledger = entry.active.ledger;
  const Progress progress{ledger.settled(), ledger.failed(), ledger.total()};
  lock.unlock();
  try {
    entry.options.progress(progress);
  } catch (...) {
    lock.lock();
    throw;
  }
  lock.lock();
}

void Coordinator::abandon_jobs(FailureKind kind) {
  for (Entry* entry : jobs_) {
    if (entry->done()) continue;
    entry->give_up(kind, cause_);
  }
}

}  // namespace bulkhead::detail
