// SPDX-License-Identifier: MIT
//
// Calls that nobody need wait for: how they begin and end, who waits for them after all, and the
// thread that looks after them.
#include "runtime/coordinator.hpp"
#include "runtime/options.hpp"
#include <bulkhead/error.hpp>

#include <algorithm>
#include <csignal>
#include <pthread.h>
#include <system_error>
#include <utility>

namespace bulkhead::detail {

std::shared_ptr<RunningCall> Coordinator::start(std::shared_ptr<PendingCall> call) {
  require_owner(owner_);
  require_sensible(call->options());
  const Lock lock = enter();
  require_open(state_, cause_);
  const auto background = std::make_shared<Background>(weak_from_this(), std::move(call));
  const Inside inside(inside_);
  prepare(*background, *background->call);
  start_helper();
  background_.push_back(background);
  begin(*background->entry);
  finish_calls();  // there may have been no elements
  call_driver();
  return background;
}

/// Calls that have ended get their results, and who waits for them, or is to call back, hears of
/// it.
void Coordinator::finish_calls() {
  for (auto at = background_.begin(); at != background_.end();) {
    if (!(*at)->entry->done()) {
      ++at;
      continue;
    }
    const std::shared_ptr<Background> background = std::move(*at);
    at = background_.erase(at);
    Entry& entry = *background->entry;
    const auto progress = entry.progress(Clock::now(), true);
    background->call->finish(finish(entry), std::move(background->error));
    background->wake.reset();
    std::shared_ptr<PendingCall> call = std::exchange(background->call, nullptr);
    ended_.push_back({call->result(), call, progress});
  }
  finish_submitted();
  finish_pulled();
  call_leaving();
  if (!ended_.empty()) call_teller();
}

// ---------------------------------------------------------------------------------------------------
// Waiting

void Coordinator::Background::wait_for(const Awaited& goal, std::optional<Time> until) {
  Visit visit(pool);
  if (visit) visit->await(visit.lock(), goal, until);
}

bool Coordinator::Background::wait_for_teller(const Awaited& told, std::optional<Time> until) {
  Visit visit(pool);
  return !visit || visit->await_told(visit.lock(), told, until);
}

void Coordinator::Background::cancel() {
  const Visit visit(pool);
  if (!visit || call == nullptr || entry->ending) return;
  entry->cancel("the call was cancelled");
  visit->untidy_ = true;
  visit->call_driver();
}

void Coordinator::Background::tell_again(std::shared_ptr<Expected> again) {
  const std::shared_ptr<Coordinator> engine = pool.lock();
  if (engine) return engine->tell_again(std::move(again));
  while (again->tell()) {
  }
}

void Coordinator::tell_again(std::shared_ptr<Expected> result) {
  require_owner(owner_);
  Lock lock = enter();
  ended_.push_back({std::move(result)});
  if (tells_itself()) {
    attend(lock);
  } else {
    call_teller();
  }
}

void Coordinator::await(Lock& lock, const Awaited& result, std::optional<Clock::time_point> until) {
  if (!result.ready() && !driving_ && until && Clock::now() >= *until) {
    drive(lock, {.awaited = &result, .is_glance = true});  // who only asks helps a little, too
    if (tells_itself()) attend(lock);
  }
  while (!result.ready() && (!until || Clock::now() < *until)) {
    const auto soon = Clock::now() + kProgressInterval;
    const auto next = until ? std::min(*until, soon) : soon;
    if (driving_) {
      sleep_until(lock, &result, next);
    } else {
      drive(lock, {&result, next});
    }
    if (tells_itself()) attend(lock);
  }
  if (!driving_) changed_.notify_all();  // whoever left it to us
}

/// False: it takes longer. Callbacks that are the loop's are not waited for, but while they run.
bool Coordinator::await_told(Lock& lock, const Awaited& told,
                             std::optional<Clock::time_point> until) {
  if (teller_ == std::this_thread::get_id()) return true;
  while (tells_itself() && !told.ready() && attend(lock)) {
  }
  ++waiting_on_teller_;
  if (!loop_) {
    await(lock, told, until);
  } else {
    while (teller_ != std::thread::id{} && !told.ready() && (!until || Clock::now() < *until)) {
      sleep_until(
          lock, &told,
          std::min(until.value_or(Clock::time_point::max()), Clock::now() + kProgressInterval));
    }
  }
  --waiting_on_teller_;
  return told.ready() || (loop_ && teller_ == std::thread::id{});
}

void Coordinator::sleep_until(Lock& lock, const Awaited* awaited, Clock::time_point time) {
  Waiter self{awaited};
  waiters_.push_back(&self);
  changed_.wait_until(lock, time);
  std::erase(waiters_, &self);
  if (self.is_leaving) note_entry();
}

void Coordinator::call_leaving() {
  for (Waiter* waiter : waiters_) {
    if (waiter->awaited != nullptr && waiter->awaited->ready()) call_leaving(*waiter);
  }
}

/// There is something to call back for.
void Coordinator::call_teller() {
  if (loop_) {
    if (!polling_) loop_->call();
  } else if (helper_waits_ != nullptr) {
    call_leaving(*helper_waits_);
  }
}

/// There is something new for who drives, or would.
void Coordinator::call_driver() {
  if (driving_) {
    own_bell_.ring();
  } else {
    if (loop_) loop_->call();
    changed_.notify_all();
  }
}

/// A thread that does not have to wait any more must get the mutex though somebody drives.
void Coordinator::call_leaving(Waiter& waiter) {
  if (std::exchange(waiter.is_leaving, true)) return;
  entering_.fetch_add(1);
  changed_.notify_all();
}

// ---------------------------------------------------------------------------------------------------
// The helper

/// Signals of the host's are for the host's threads.
void Coordinator::start_helper() {
  if (!may_start_helper_ || loop_ || helper_.joinable()) return;
  sigset_t all;
  sigset_t before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  try {
    helper_ = std::thread([self = shared_from_this()] { self->help(); });
  } catch (const std::system_error& refused) {
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
    throw SystemError("bulkhead: cannot start the helper thread (see Options::helper_thread)",
                      refused.code().value());
  }
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  ::pthread_setname_np(helper_.native_handle(), "bulkhead-pool");
}

void Coordinator::help() {
  Lock lock = enter();
  while (!helper_leaves_ || (!loop_ && !ended_.empty())) {
    if (!loop_ && attend(lock)) {
      // However long it has taken, others are not to wait until there is nothing to tell any more.
      if (!driving_ && goes_on_alone()) drive(lock, {.is_helpers = true, .is_glance = true});
      continue;
    }
    if (!loop_ && !driving_ && goes_on_alone() && waiters_.empty()) {
      drive(lock, {.is_helpers = true});
      continue;
    }
    Waiter self;
    helper_waits_ = &self;
    changed_.wait(lock);
    helper_waits_ = nullptr;
    if (self.is_leaving) note_entry();
  }
}

/// Calls back, if it is time for that. True if it was.
bool Coordinator::attend(Lock& lock) {
  if (teller_ != std::thread::id{}) return false;
  if (!ended_.empty()) {
    tell(lock);
    return true;
  }
  return report_progress(lock);
}

void Coordinator::tell(Lock& lock) {
  const Ended ended = std::move(ended_.front());
  ended_.pop_front();
  teller_ = std::this_thread::get_id();
  lock.unlock();
  const auto call_back = [this, &ended](bool first) {
    try {
      if (!first) return ended.result->tell();
      if (ended.progress) ended.call->options().progress(*ended.progress);
    } catch (const std::exception& error) {
      log_.error(std::string("a callback threw: ") + error.what());
    } catch (...) {
      log_.error("a callback threw something that is not a std::exception");
    }
    return true;
  };
  for (bool first = true; call_back(first); first = false) {
  }
  end_telling(lock);
}

void Coordinator::end_telling(Lock& lock) {
  lock = enter();
  teller_ = {};
  changed_.notify_all();
  if (loop_ && !polling_ && !ended_.empty()) loop_->call();
  if (waiting_on_teller_ == 0) return;
  call_leaving();
  if (driving_) own_bell_.ring();
}

/// True if a call that nobody waits for is to tell of its progress.
bool Coordinator::report_due() const {
  const auto now = Clock::now();
  return std::any_of(background_.begin(), background_.end(), [now](const auto& background) {
    const Entry& entry = *background->entry;
    return entry.options.progress && now - entry.last_report >= kProgressInterval;
  });
}

/// Does that. True if there was one.
bool Coordinator::report_progress(Lock& lock) {
  for (const std::shared_ptr<Background>& each : background_) {
    const auto progress = each->entry->progress(Clock::now(), false);
    if (!progress) continue;
    const std::shared_ptr<Background> background = each;
    const std::shared_ptr<PendingCall> call = each->call;
    std::exception_ptr error;
    teller_ = std::this_thread::get_id();
    lock.unlock();
    try {
      call->options().progress(*progress);
    } catch (...) {
      error = std::current_exception();
    }
    end_telling(lock);
    if (background->call == nullptr) return true;
    background->entry->last_report = Clock::now();  // however long it has taken
    if (!error) return true;
    background->error = error;
    background->entry->active.abandon("its call was given up");
    untidy_ = true;
    return true;
  }
  return false;
}

void Coordinator::dismiss() {
  try {
    terminate();
  } catch (...) {  // NOLINT(bugprone-empty-catch): out of memory; the zygote's destructor kills all
  }
  {
    const Lock lock = enter();
    helper_leaves_ = true;
    changed_.notify_all();
  }
  if (helper_.get_id() == std::this_thread::get_id()) {
    helper_.detach();
    return;
  }
  if (helper_.joinable()) helper_.join();
  // Callbacks may still use the pool: not to be left to the destructor.
  Lock lock = enter();
  await_idle(lock);
  trace_.reset();  // the file is complete when the Pool is gone
}

}  // namespace bulkhead::detail
