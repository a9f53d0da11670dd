// SPDX-License-Identifier: MIT
#include "runtime/coordinator.hpp"

#include <bulkhead/error.hpp>

#include <algorithm>
#include <limits>
#include <unistd.h>

namespace bulkhead::detail {
namespace {

using std::chrono::milliseconds;

/// With tasks out, nothing is waited for longer than this without a look around: a belt, for a
/// worker that cannot ring any more.
constexpr milliseconds kBelt{1000};
/// Workers that are to ring when half of their tasks are done are given this long for it.
constexpr milliseconds kStall{4};
/// An idle worker waits this long before tasks that wait behind others are taken for it.
constexpr milliseconds kIdleStall{1};
constexpr milliseconds kProgressInterval{100};
/// Deaths are noticed at the latest after this time, however busy the coordinator is.
constexpr milliseconds kControlInterval{2};
/// Time for the finalizers of all workers.
constexpr milliseconds kFinalizerTime{30000};

}  // namespace

/// Marks that code of the user's may be running under the mutex, in this thread.
class Coordinator::Inside {
 public:
  explicit Inside(std::atomic<std::thread::id>& place) : place_(place) {
    place_.store(std::this_thread::get_id(), std::memory_order_relaxed);
  }
  ~Inside() { place_.store({}, std::memory_order_relaxed); }
  Inside(const Inside&) = delete;
  Inside& operator=(const Inside&) = delete;

 private:
  std::atomic<std::thread::id>& place_;
};

/// An active job, and the thread that waits for it.
struct Coordinator::Entry {
  ActiveJob active;
  const CallOptions& options;
  std::unique_ptr<FailureDetails> given_up;
  Clock::time_point last_report = Clock::now();
  std::thread::id thread = std::this_thread::get_id();

  [[nodiscard]] bool done() const { return given_up != nullptr || active.ledger.done(); }
};

// ---------------------------------------------------------------------------------------------------
// Entering and leaving

void Coordinator::require_owner() const {
  const pid_t self = ::getpid();
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
        "a call "
        "that it is just serving; let the range be finished before the call");
  }
  entering_.fetch_add(1);
  Lock lock(mutex_);
  entering_.fetch_sub(1);
  entering_.notify_all();
  return lock;
}

/// A mutex is not fair: who drives must step back for those who want in.
void Coordinator::yield_to_others(Lock& lock) {
  if (entering_.load() == 0) return;
  lock.unlock();
  for (int count = entering_.load(); count != 0; count = entering_.load()) entering_.wait(count);
  lock.lock();
}

void Coordinator::require_open() const {
  switch (state_) {
    case State::open:
      return;
    case State::closed:
      throw PoolClosed("bulkhead: the pool is closed and takes no more calls");
    case State::terminated:
      throw PoolClosed("bulkhead: the pool was terminated");
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
  changed_.wait(lock, [this] { return jobs_.empty() && !driving_; });
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
  leaving_ = true;
  driving_ = true;
  for (Slot& slot : slots_) slot.dismiss();
  const auto deadline = Clock::now() + kFinalizerTime;
  while (zygote_ && anyone_alive() && Clock::now() < deadline) {
    yield_to_others(lock);
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
  give_up(State::terminated, FailureKind::cancelled, "the pool was terminated");
}

// ---------------------------------------------------------------------------------------------------
// Jobs

RunReport run_job(Coordinator& coordinator, Job& job, const CallOptions& options) {
  return coordinator.run(job, options);
}

RunReport Coordinator::run(Job& job, const CallOptions& options) {
  require_owner();
  Lock lock = enter();
  require_open();
  const Definition& definition = definition_of(job);
  Entry entry{ActiveJob(job, definition.number, definition.payload), options, nullptr};
  {
    const Inside inside(inside_);
    entry.active.prime();
  }
  const auto place = jobs_.insert(jobs_.end(), &entry);
  if (driving_) doorbell_.ring();
  std::exception_ptr error;
  while (!entry.done()) {
    try {
      if (driving_) {
        changed_.wait_for(lock, options.progress ? kProgressInterval : kBelt);
      } else {
        drive(lock, entry);
      }
      if (!error) report_progress(lock, entry, entry.done());
    } catch (...) {
      error = std::current_exception();
      entry.active.stop_at(0);
      tidy();
    }
  }
  jobs_.erase(place);
  if (definition.temporary) forget(definition);
  changed_.notify_all();
  if (error) std::rethrow_exception(error);
  return {std::move(entry.given_up), entry.active.ledger.known()};
}

Coordinator::Definition& Coordinator::definition_of(const Job& job) {
  if (job.has_state()) {
    temporary_.push_back({next_callable_++, encode_definition(job), true});
    return temporary_.back();
  }
  const auto key = std::pair(job.describe(), job.function());
  const auto found = definitions_.find(key);
  if (found != definitions_.end()) return found->second;
  Definition definition{next_callable_++, encode_definition(job), false};
  return definitions_.emplace(key, std::move(definition)).first->second;
}

void Coordinator::forget(const Definition& definition) {
  const std::uint32_t number = definition.number;
  for (Slot& slot : slots_) slot.drop(number);
  temporary_.remove_if([number](const Definition& other) { return other.number == number; });
}

std::vector<std::byte> Coordinator::encode_definition(const Job& job) const {
  SpillWriter out({});
  out.put(token_of(reinterpret_cast<const void*>(job.describe())));
  out.put(job.function() != nullptr ? token_of(job.function()) : ModuleToken{});
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
    entry->given_up = std::make_unique<FailureDetails>();
    entry->given_up->kind = kind;
    entry->given_up->message = cause_;
  }
}

// ---------------------------------------------------------------------------------------------------
// Driving

void Coordinator::drive(Lock& lock, Entry& own) {
  driving_ = true;
  const bool reports = static_cast<bool>(own.options.progress);
  try {
    while (!own.done()) {
      yield_to_others(lock);
      const auto now = Clock::now();
      if (now - last_control_check_ >= kControlInterval) hear_zygote();
      if (own.done()) break;
      if (!pass(now)) park(lock, reports ? kProgressInterval : kBelt);
      if (reports && Clock::now() - own.last_report >= kProgressInterval) break;
    }
  } catch (const std::exception& error) {
    // Out of memory, or a bug of ours: the books cannot be trusted any more.
    give_up(State::broken, FailureKind::not_run,
            std::string("bulkhead: the coordinator failed: ") + error.what());
  }
  driving_ = false;
  changed_.notify_all();
}

bool Coordinator::pass(Clock::time_point now) {
  const Inside inside(inside_);
  bool progress = false;
  for (Slot& slot : slots_) {
    const bool drained = slot.drain(now);
    if (drained) after_drain(slot);
    const bool fed = feed(slot, now);
    if (slot.alive() && (drained || fed)) {
      slot.link().allow_spinning(spare_cpu());
      slot.publish();
    }
    progress |= drained || fed;
  }
  if (progress) {
    impatient_ = false;
    tidy();
  }
  // Each job is served first in its turn.
  if (jobs_.size() > 1) jobs_.splice(jobs_.end(), jobs_, jobs_.begin());
  return progress;
}

bool Coordinator::feed(Slot& slot, Clock::time_point now) {
  bool fed = slot.pump();
  for (Entry* entry : jobs_) {
    if (entry->done()) continue;
    ActiveJob& job = entry->active;
    const std::uint64_t unsent =
        job.ledger.total() ? job.ledger.unsent() : std::numeric_limits<std::uint64_t>::max();
    fed |= slot.feed(job, job.pace.window(unsent, slots_.size()), now);
  }
  return fed;
}

/// After progress: jobs that were stopped want their waiting tasks back, and those that are done
/// want their threads to know.
void Coordinator::tidy() {
  bool anyone_done = false;
  for (Entry* entry : jobs_) {
    anyone_done |= entry->done();
    if (!std::exchange(entry->active.stopped, false)) continue;
    for (Slot& slot : slots_) slot.revoke();
  }
  if (anyone_done) changed_.notify_all();
}

void Coordinator::park(Lock& lock, milliseconds limit) {
  for (Slot& slot : slots_) {
    if (slot.alive()) slot.link().aim_bell(impatient_ || slot.idle());
  }
  if (spare_cpu() && spin_.until([this] { return has_news() || entering_.load() != 0; })) return;
  if (!arm_bells()) sleep(lock, std::min(limit, patience()));
  for (Slot& slot : slots_) {
    if (slot.alive()) slot.link().disarm_bell();
  }
}

void Coordinator::sleep(Lock& lock, milliseconds timeout) {
  lock.unlock();
  const Wakeup wakeup = events_->wait(timeout);
  lock.lock();
  last_control_check_ = Clock::now();
  if (wakeup.timed_out()) {
    impatient_ = true;
    help_the_idle();
    if (timeout >= kBelt) rouse();
  }
  if (zygote_ && wakeup.control) hear_zygote();
  if (zygote_ && wakeup.zygote) {
    give_up(State::broken, FailureKind::not_run,
            "bulkhead: the zygote, from which workers are forked, was killed");
  }
  replace_missing(last_control_check_);
}

/// A worker that a task has made lie about its sleep would not be woken otherwise.
void Coordinator::rouse() {
  for (Slot& slot : slots_) {
    if (slot.alive() && slot.load() != 0) slot.link().wake_anyway();
  }
}

bool Coordinator::has_news() {
  return std::any_of(slots_.begin(), slots_.end(),
                     [](Slot& slot) { return slot.alive() && slot.link().has_news(); });
}

/// Tells the workers when to ring. True if one may have passed that point already: then one must
/// not sleep.
bool Coordinator::arm_bells() {
  for (Slot& slot : slots_) {
    if (slot.alive()) slot.link().arm_bell();
  }
  std::atomic_thread_fence(std::memory_order_seq_cst);
  return has_news();
}

/// True if this thread and all workers with tasks have a CPU each.
bool Coordinator::spare_cpu() const {
  const auto busy = std::count_if(slots_.begin(), slots_.end(),
                                  [](const Slot& slot) { return slot.load() != 0; });
  return busy + 1 <= cpus_;
}

milliseconds Coordinator::patience() const {
  milliseconds timeout = kBelt;
  const bool idle =
      std::any_of(slots_.begin(), slots_.end(), [](const Slot& s) { return s.idle(); });
  for (const Slot& slot : slots_) {
    if (idle && slot.has_waiting()) timeout = std::min(timeout, kIdleStall);
    if (!impatient_ && slot.load() > 1) timeout = std::min(timeout, kStall);
    if (slot.state() != Slot::State::vacant || leaving_ || !restarts_.allowed()) continue;
    const auto pause = restarts_.not_before() - Clock::now();
    timeout = std::clamp(std::chrono::ceil<milliseconds>(pause), milliseconds{1}, timeout);
  }
  return timeout;
}

/// Tasks that wait behind a long one go to whoever has nothing to do.
void Coordinator::help_the_idle() {
  const bool idle =
      std::any_of(slots_.begin(), slots_.end(), [](const Slot& s) { return s.idle(); });
  if (!idle) return;
  for (Slot& slot : slots_) {
    if (slot.has_waiting()) slot.revoke();
  }
}

}  // namespace bulkhead::detail
