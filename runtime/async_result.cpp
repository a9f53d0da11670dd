// SPDX-License-Identifier: MIT
#include "runtime/time.hpp"
#include <bulkhead/async_result.hpp>
#include <bulkhead/wait.hpp>

namespace bulkhead::detail {

bool AsyncStateBase::wait(std::optional<RunningCall::Time> until) {
  const auto self =
      shared_from_this();  // whoever is called back meanwhile may drop the last handle
  if (!ready()) call_->wait_for(*this, until);
  return ready();
}

bool AsyncStateBase::wait_told(std::optional<RunningCall::Time> until) {
  if (is_told()) return true;
  class Told final : public Awaited {
   public:
    explicit Told(AsyncStateBase& state) : state_(state) {}
    [[nodiscard]] bool ready() const override { return state_.is_told(); }

   private:
    AsyncStateBase& state_;
  };
  const auto self = shared_from_this();
  return call_->wait_for_teller(Told(*this), until);
}

void AsyncStateBase::become_ready() {
  const std::lock_guard lock(mutex_);
  ready_.store(true, std::memory_order_release);
  for (const Watcher& watcher : watchers_) watcher.completions->note(watcher.index);
  watchers_.clear();
}

void AsyncStateBase::watch(Completions& completions, std::size_t index) {
  const std::lock_guard lock(mutex_);
  if (ready()) {
    completions.note(index);
  } else {
    watchers_.push_back({&completions, index});
  }
}

void AsyncStateBase::unwatch(const Completions& completions) {
  const std::lock_guard lock(mutex_);
  std::erase_if(watchers_,
                [&](const Watcher& watcher) { return watcher.completions == &completions; });
}

void throw_not_ready(std::optional<std::chrono::nanoseconds> timeout) {
  const std::string when = timeout ? "after " + to_text(*timeout) : "yet";
  throw NotReady("bulkhead: the result is not there " + when +
                 "; the call goes on (wait longer, or cancel() it)");
}

void throw_taken() {
  throw Error(
      "bulkhead: the value of this result has been taken by an earlier get(); keep what that "
      "returned");
}

void throw_incomplete(std::size_t ready, std::size_t total, std::chrono::nanoseconds timeout) {
  throw NotReady("bulkhead: " + std::to_string(total - ready) + " of " + std::to_string(total) +
                 " results are not there after " + to_text(timeout) +
                 "; their calls go on (wait longer, or cancel() them)");
}

RunningCall::Time time_from_now(std::chrono::nanoseconds timeout) {
  return later(std::chrono::steady_clock::now(), timeout);
}

}  // namespace bulkhead::detail
