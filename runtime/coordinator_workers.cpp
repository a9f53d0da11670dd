// SPDX-License-Identifier: MIT
//
// The coordinator's dealings with processes: hiring, hearing of deaths, replacing, giving up.
#include "runtime/coordinator.hpp"
#include "runtime/post_mortem.hpp"
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

/// Time for all first workers to be forked.
constexpr milliseconds kStartTime{20000};

}  // namespace

Coordinator::Coordinator(const Options& options, int workers)
    : owner_(::getpid()), cpus_(usable_cpus()), log_(options.logger), restarts_(workers) {
  setup_.ring_bytes = std::bit_ceil(options.ring_bytes);
  setup_.initializer = options.initializer;
  setup_.finalizer = options.finalizer;
  generation_ = ModuleMap::generation();
  zygote_ = std::make_unique<Zygote>(setup_, doorbell_);
  events_ = std::make_unique<EventSet>(doorbell_.fd(), zygote_->control_fd(), zygote_->pidfd());
  slots_.resize(static_cast<std::size_t>(workers));
  hire_all();
}

Coordinator::~Coordinator() {
  if (::getpid() != owner_) {
    // Threads of the owner may be waiting for it, and its destructor would wait for them here.
    ::operator delete(static_cast<void*>(changed_.release()));
    return;
  }
  try {
    terminate();
    Lock lock(mutex_);
    await_idle(lock);
  } catch (...) {  // NOLINT(bugprone-empty-catch): out of memory; the zygote's destructor kills all
  }
}

/// Forks the first workers and waits until all of them are there, though not until they are ready.
void Coordinator::hire_all() {
  const auto deadline = Clock::now() + kStartTime;
  const auto count = static_cast<int>(slots_.size());
  for (int number = 0; number < count; ++number) {
    Slot& slot = slots_[static_cast<std::size_t>(number)];
    slot.begin(std::make_unique<Link>(setup_.ring_bytes));
    int error = request(slot);
    while (error == EAGAIN && Clock::now() < deadline) {
      zygote_->wait(milliseconds{10});
      require_zygote();
      if (!zygote_) return;
      error = request(slot);
    }
    if (error != 0) throw SystemError("bulkhead: cannot ask the zygote for a worker", error);
  }
  const auto forked = [](const Slot& slot) { return slot.pid() != 0; };
  while (zygote_ && !std::all_of(slots_.begin(), slots_.end(), forked)) {
    if (Clock::now() >= deadline)
      throw SystemError("bulkhead: the workers were not forked", ETIMEDOUT);
    zygote_->wait(milliseconds{100});
    require_zygote();
    if (refusal_ == 0) continue;
    throw SystemError(
        "bulkhead: cannot fork " + std::to_string(count) +
            " workers; ask for fewer (Options::workers) or raise the limit on processes",
        refusal_);
  }
}

int Coordinator::request(Slot& slot) {
  const auto number = static_cast<int>(&slot - slots_.data());
  Link& link = slot.link();
  const int error = zygote_->request_fork(number, slot.epoch(), link.inbox_fd(), link.outbox_fd());
  if (error == 0) link.close_descriptors();
  return error;
}

/// Replaces a worker while the pool runs. If the system refuses, the pool goes on with fewer and
/// tries again later.
void Coordinator::rehire(Slot& slot) {
  int error = 0;
  try {
    slot.begin(std::make_unique<Link>(setup_.ring_bytes));
    error = request(slot);
    if (error != 0) slot.bury(std::nullopt);
  } catch (const SystemError& refused) {
    error = refused.error_number();
  }
  if (error != 0) note_refusal(error);
}

void Coordinator::note_refusal(int error) {
  refusal_ = error;
  restarts_.refused(Clock::now(), !anyone_alive());
  last_start_failure_ = SystemError("the system refuses to start a worker", error).what();
  log_.warn(last_start_failure_ + "; going on with fewer");
}

void Coordinator::replace_missing(Clock::time_point now) {
  if (leaving_ || !zygote_) return;
  for (Slot& slot : slots_) {
    if (slot.state() == Slot::State::vacant && restarts_.allowed() &&
        now >= restarts_.not_before()) {
      rehire(slot);
    }
  }
  if (anyone_alive() || !restarts_.hopeless()) return;
  give_up(State::broken, FailureKind::not_run,
          "bulkhead: the pool is broken, no worker can be started: " + last_start_failure_);
}

/// False if it has ended.
bool Coordinator::hear_zygote() {
  last_control_check_ = Clock::now();
  ControlMessage message;
  while (zygote_) {
    const Received received = zygote_->receive(message);
    if (received != Received::message) return received != Received::closed;
    hear(message);
  }
  return true;
}

void Coordinator::require_zygote() {
  if (!hear_zygote()) throw SystemError("bulkhead: the zygote has ended before its time", ECHILD);
}

void Coordinator::hear(const ControlMessage& message) {
  if (message.slot < 0 || static_cast<std::size_t>(message.slot) >= slots_.size()) return;
  Slot& slot = slots_[static_cast<std::size_t>(message.slot)];
  if (slot.epoch() != message.epoch || slot.state() == Slot::State::vacant) return;
  switch (message.kind) {
    case ControlKind::started:
      slot.started(message.pid);
      log_.debug("worker " + std::to_string(message.slot) + " is process " +
                 std::to_string(message.pid));
      return;
    case ControlKind::fork_failed:
      slot.bury(std::nullopt);
      return note_refusal(message.value);
    case ControlKind::died:
      return note_death(slot, message);
    default:
      return;
  }
}

void Coordinator::note_death(Slot& slot, const ControlMessage& message) {
  slot.drain(Clock::now());
  after_drain(slot);
  if (!zygote_) return;  // given up meanwhile, and all slots are empty
  const bool starting = slot.state() == Slot::State::starting;
  FailureDetails blame = crash_details(message, slot.link().crash_report());
  const std::string cause =
      message.code == CLD_EXITED ? cause_of_death(message, std::nullopt) : blame.message;
  slot.bury(std::move(blame));
  if (leaving_) return;
  const std::string who =
      "worker " + std::to_string(message.slot) + ", process " + std::to_string(message.pid);
  if (starting) {
    restarts_.died_at_start();
    const bool told = message.code == CLD_EXITED && message.value == kExitInitializer;
    if (!told)
      last_start_failure_ = "a worker died before it was ready" +
                            std::string(setup_.initializer ? ", in the initializer: " : ": ") +
                            cause;
    log_.error(who + ", did not start: " + last_start_failure_);
  } else {
    log_.warn(who + ", ended: " + cause);
  }
  replace_missing(Clock::now());
  tidy();
}

void Coordinator::after_drain(Slot& slot) {
  if (slot.take_ready()) restarts_.succeeded();
  const std::string complaint = slot.take_complaint();
  if (!complaint.empty()) {
    if (leaving_) log_.error("a finalizer threw " + complaint);
    last_start_failure_ = "the initializer threw " + complaint;
  }
  if (slot.state() != Slot::State::doomed) return;
  const auto number = static_cast<int>(&slot - slots_.data());
  log_.error("worker " + std::to_string(number) + " is killed: " + slot.verdict());
  if (zygote_->request_kill(number, slot.epoch()) != 0) {
    give_up(State::broken, FailureKind::not_run, "bulkhead: the zygote does not answer");
  }
}

bool Coordinator::anyone_alive() const {
  return std::any_of(slots_.begin(), slots_.end(),
                     [](const Slot& slot) { return slot.state() != Slot::State::vacant; });
}

/// Ends all processes, and all jobs with the given reason.
void Coordinator::give_up(State state, FailureKind kind, std::string why) {
  state_ = state;
  cause_ = std::move(why);
  leaving_ = true;
  zygote_.reset();
  abandon_jobs(kind);
  for (Slot& slot : slots_) {
    if (slot.state() == Slot::State::vacant) continue;
    FailureDetails blame;
    blame.kind = kind == FailureKind::not_run ? FailureKind::crashed : kind;
    blame.message = "the worker was killed: " + cause_;
    slot.bury(std::move(blame));
  }
  if (state == State::broken) log_.error(cause_);
  doorbell_.ring();
  changed_->notify_all();
}

}  // namespace bulkhead::detail
