// SPDX-License-Identifier: MIT
//
// How workers come into a pool: the first ones, their successors, the spare; and how their number
// changes.
#include "runtime/coordinator.hpp"
#include "runtime/log_forwarding.hpp"
#include "runtime/options.hpp"
#include "worker/host.hpp"
#include <bulkhead/error.hpp>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <csignal>
#include <unistd.h>
#include <utility>

namespace bulkhead::detail {
namespace {

using std::chrono::milliseconds;

/// Time for one of the first workers to be forked, after another.
constexpr milliseconds kStartTime{20000};
/// A pool that has lived this long is worth a spare worker.
constexpr milliseconds kSpareAge{20};
/// The successor of a spare that was used is forked after this time, when the work that it took
/// over has begun; or at the end of the next call.
constexpr milliseconds kSpareDelay{2};
/// Until the next attempt, where a spare was refused, died, or would take too much memory.
constexpr milliseconds kSparePause{10000};

}  // namespace

Coordinator::Coordinator(const Options& options, int workers, const Start& start)
    : owner_(own_pid()),
      cpus_(usable_cpus()),
      log_(options.logger),
      replay_dir_(options.replay_dir),
      longest_start_(options.initializer_timeout),
      most_tasks_(options.max_tasks_per_worker),
      most_growth_(options.recycle_rss),
      may_start_helper_(options.helper_thread),
      most_in_flight_(options.max_in_flight),
      start_method_(start.method()),
      generation_(start.generation()),
      size_(workers),
      spare_due_(Clock::now() + kSpareAge),
      restarts_(workers) {
  setup_.ring_bytes = std::bit_ceil(options.ring_bytes);
  setup_.initializer = options.initializer;
  setup_.finalizer = options.finalizer;
  setup_.idle_timeout = options.idle_timeout;
  setup_.limits = options.limits;
  if (!options.limits.cgroup.empty()) {
    setup_.cgroup = std::make_shared<const PoolCgroup>(options.limits);
  }
  if (options.pin_workers) setup_.cpus = allowed_cpus();
  setup_.faults = options.faults;
  if (options.output == Output::discard && ::access("/dev/null", W_OK) != 0) {
    throw SystemError("bulkhead: Output::discard needs /dev/null", errno);
  }
  setup_.voice = {options.output, options.logger != nullptr, make_mark_secret()};
  setup_.forward_logs = [logger = options.logger](std::unique_ptr<LogSender> sender) {
    forward_logs(logger, std::move(sender));
  };
  if (!options.trace.empty()) trace_.emplace(options.trace, log_);
  setup_.voice.traces = trace_.has_value();
  if (setup_.voice.has_streams()) peek_.emplace();
  zygote_ = std::make_unique<Zygote>(start.launch(setup_, doorbell_), workers);
  events_ = std::make_unique<EventSet>(doorbell_.fd(), own_bell_.fd(), zygote_->control_fd(),
                                       zygote_->pidfd());
  if (const int error = zygote_->request_watch(events_->fd()); error != 0)
    throw SystemError("bulkhead: cannot tell the zygote what it needs", error);
  for (int i = 0; i < workers; ++i) add_place();
  hire_all();
}

Coordinator::~Coordinator() {
  try {
    terminate();
    Lock lock(mutex_);
    await_idle(lock);
  } catch (...) {  // NOLINT(bugprone-empty-catch): out of memory; the zygote's destructor kills all
  }
}

/// Forks the first workers and waits until all of them are there, though not until they are ready.
void Coordinator::hire_all() {
  auto deadline = Clock::now() + kStartTime;
  std::ptrdiff_t there = 0;
  const auto hear_of_forks = [&] {
    require_zygote();
    const auto forked = std::count_if(slots_.begin(), slots_.end(),
                                      [](const Slot& slot) { return slot.pid() != 0; });
    if (std::exchange(there, forked) != forked) deadline = Clock::now() + kStartTime;
  };
  const auto count = static_cast<int>(slots_.size());
  for (int number = 0; number < count; ++number) {
    Slot& slot = slots_[static_cast<std::size_t>(number)];
    // While another waited to be asked for, one has died, and all that were missing were replaced.
    if (slot.state() != Slot::State::vacant) continue;
    begin(slot, std::make_unique<Link>(setup_.ring_bytes, setup_.voice), next_epoch_++, 0);
    slot.publish();
    int error = request(slot.link(), slot.epoch(), Zygote::Duty::work);
    while (error == EAGAIN && Clock::now() < deadline) {
      zygote_->wait(milliseconds{10});
      hear_of_forks();
      if (!zygote_) return;
      error = request(slot.link(), slot.epoch(), Zygote::Duty::work);
    }
    if (error != 0) throw SystemError("bulkhead: cannot ask the zygote for a worker", error);
  }
  while (zygote_ && there < count) {
    if (Clock::now() >= deadline)
      throw SystemError("bulkhead: the workers were not forked", ETIMEDOUT);
    zygote_->wait(milliseconds{100});
    hear_of_forks();
    if (refusal_ == 0) continue;
    throw SystemError(
        "bulkhead: cannot fork " + std::to_string(count) +
            " workers; ask for fewer (Options::workers) or raise the limit on processes",
        refusal_);
  }
}

int Coordinator::request(Link& link, std::uint64_t epoch, Zygote::Duty duty) {
  const int error = zygote_->request_fork(epoch, duty, link.worker_descriptors());
  if (error == 0) link.close_descriptors();
  return error;
}

void Coordinator::begin(Slot& slot, std::unique_ptr<Link> link, std::uint64_t epoch, int pid) {
  // First what may fail.
  std::unique_ptr<Transcript> transcript;
  if (!setup_.voice.silent()) {
    for (const int pipe : link->voice().fds()) events_->watch_output(pipe);
    transcript =
        std::make_unique<Transcript>(*link, peek_ ? &*peek_ : nullptr, log_, slot.number());
  }
  slot.begin(std::move(link), epoch, pid);
  slot.listen(std::move(transcript));
  note_begin(slot);
  if (longest_start_) slot.killed_at = later(Clock::now(), *longest_start_);
}

/// Takes in what tasks have written and logged.
void Coordinator::hear_workers() {
  unheard_ = false;
  for (Slot& slot : slots_) unheard_ |= !slot.hear();
}

/// The spare, if there is one or will be in a moment, takes the place of a worker that is gone.
void Coordinator::promote_spare(Slot& slot) {
  if (!spare_.link || !restarts_.allowed()) return;
  Spare spare = std::exchange(spare_, {});
  try {
    begin(slot, std::move(spare.link), spare.epoch, spare.pid);
  } catch (const SystemError& refused) {
    static_cast<void>(zygote_->request_signal(spare.epoch, SIGKILL));
    note_refusal(refused.error_number());
  }
  spare_due_ = Clock::now() + kSpareDelay;
  spare_used_ = true;
}

/// Replaces a worker while the pool runs. If the system refuses, the pool goes on with fewer and
/// tries again later.
void Coordinator::rehire(Slot& slot) {
  promote_spare(slot);
  if (slot.alive()) return slot.publish();
  int error = 0;
  try {
    begin(slot, std::make_unique<Link>(setup_.ring_bytes, setup_.voice), next_epoch_++, 0);
    slot.publish();
    error = request(slot.link(), slot.epoch(), Zygote::Duty::work);
    if (error != 0) slot.bury();
    if (error == EAGAIN) return restarts_.put_off(Clock::now() + kBusyZygote);
  } catch (const SystemError& refused) {
    error = refused.error_number();
  }
  if (error != 0) note_refusal(error);
}

void Coordinator::note_refusal(int error) {
  refusal_ = error;
  ++past_.refusals;
  restarts_.refused(Clock::now(), !anyone_alive());
  last_start_failure_ = SystemError("the system refuses to start a worker", error).what();
  log_.warn(last_start_failure_ + "; going on with fewer");
}

/// True if there is none, and all workers are at work: a spare's fork should not delay theirs.
bool Coordinator::lacks_spare() const {
  if (spare_.link || !zygote_ || leaving_ || !restarts_.allowed()) return false;
  return std::all_of(slots_.begin(), slots_.end(), [](const Slot& slot) {
    return slot.state() == Slot::State::ready || !slot.has_place() || slot.rests();
  });
}

/// Asks for a spare worker if one is missing, and due, and costs next to nothing here.
void Coordinator::keep_spare(Clock::time_point now) {
  if (now < spare_due_) return;
  unmapped_later_.reset();
  if (!lacks_spare()) return;
  if (!has_memory_to_spare(zygote_->pid())) {
    spare_due_ = now + kSparePause;
    return;
  }
  try {
    Spare spare{std::make_unique<Link>(setup_.ring_bytes, setup_.voice), next_epoch_++, 0};
    const int error = request(*spare.link, spare.epoch, Zygote::Duty::stand_by);
    if (error != 0) throw SystemError("bulkhead: cannot ask the zygote for a worker", error);
    spare_ = std::move(spare);
  } catch (const SystemError& refused) {
    spare_due_ = now + kSparePause;
    log_.debug(std::string("no spare worker: ") + refused.what());
  }
}

/// At the end of a call, but not of the one that has just used the spare: its caller has waited
/// long enough.
void Coordinator::keep_spare_after_call() {
  if (spare_.link || std::exchange(spare_used_, false)) return;
  const auto now = Clock::now();
  keep_spare(spare_due_ - now <= kSpareDelay ? std::max(now, spare_due_) : now);
}

void Coordinator::hear_of_spare(const ControlMessage& message) {
  if (message.kind == ControlKind::started) {
    spare_.pid = message.pid;
  } else {
    spare_ = {};
    spare_due_ = Clock::now() + kSparePause;
  }
}

void Coordinator::replace_missing(Clock::time_point now) {
  if (leaving_ || !zygote_) return;
  for (Slot& slot : slots_) {
    if (slot.lacks_worker() && restarts_.allowed() && now >= restarts_.not_before()) rehire(slot);
  }
  if (anyone_alive() || !restarts_.hopeless()) return;
  give_up(State::broken, FailureKind::not_run,
          "bulkhead: the pool is broken, no worker can be started: " + last_start_failure_);
}

/// Workers that have left for want of tasks have successors once the others have all that they can
/// take. True if any task was given to one.
bool Coordinator::recall(Clock::time_point now) {
  if (!setup_.idle_timeout || leaving_) return false;
  bool any = false;
  for (Slot& slot : slots_) {
    if (!slot.rests() || !has_work()) continue;
    slot.recall();
    if (restarts_.allowed() && now >= restarts_.not_before()) rehire(slot);
    if (slot.alive() && feed(slot, now)) any = true;
    if (slot.alive()) slot.publish();
  }
  return any;
}

/// True if a task could be given out.
bool Coordinator::has_work() {
  return std::any_of(jobs_.begin(), jobs_.end(),
                     [](Entry* entry) { return !entry->done() && entry->active.has_work(); });
}

// ---------------------------------------------------------------------------------------------------
// Another number of workers

void Coordinator::resize(int workers) {
  require_owner(owner_);
  require_workers(workers, "the number of workers for Pool::resize");
  const Lock lock = enter();
  const Inside inside(inside_);
  hear_zygote();  // which may have said since the pool was used that somebody has left
  require_open(state_, cause_);
  const auto size = static_cast<std::size_t>(workers);
  while (slots_.size() < size) add_place();
  log_.debug("the pool had " + std::to_string(size_) + " workers, and is to have " +
             std::to_string(workers));
  size_ = workers;
  restarts_.resize(workers);
  for (Slot& slot : slots_) {
    if (slot.number() < size) {
      slot.regain_place();
    } else if (slot.has_place()) {
      send_away(slot);
    }
  }
  replace_missing(Clock::now());
  call_driver();
}

void Coordinator::add_place() {
  Slot& slot = slots_.emplace_back(static_cast<std::uint32_t>(slots_.size()));
  if (most_tasks_) slot.set_share(*most_tasks_);
}

/// The worker does what it has begun, and leaves.
void Coordinator::send_away(Slot& slot) {
  slot.lose_place(setup_.fences);
  if (slot.spent()) retire(slot);
}

/// Places at the end that are not wanted any more, and whose workers are gone. Not to be called
/// while anybody goes through the places.
void Coordinator::drop_places() {
  while (!slots_.back().has_place() && slots_.back().state() == Slot::State::vacant) {
    slots_.pop_back();
  }
}

bool Coordinator::anyone_alive() const {
  return !fallen_.empty() || std::any_of(slots_.begin(), slots_.end(), [](const Slot& slot) {
    return slot.state() != Slot::State::vacant;
  });
}

}  // namespace bulkhead::detail
