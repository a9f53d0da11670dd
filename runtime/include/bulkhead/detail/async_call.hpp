// SPDX-License-Identifier: MIT
//
// Calls that go on by themselves, with their types: everything that they need, and their results.
#pragma once

#include <bulkhead/detail/calls.hpp>
#include <bulkhead/detail/completions.hpp>
#include <bulkhead/detail/gather.hpp>
#include <bulkhead/detail/job.hpp>
#include <bulkhead/detail/map_job.hpp>
#include <bulkhead/error.hpp>
#include <bulkhead/options.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

namespace bulkhead::detail {

[[noreturn]] void throw_not_ready(std::optional<std::chrono::nanoseconds> timeout = std::nullopt);
[[noreturn]] void throw_taken();
/// Saturates.
[[nodiscard]] RunningCall::Time time_from_now(std::chrono::nanoseconds timeout);

/// A result without its type, and who waits for it.
class AsyncStateBase : public Expected {
 public:
  /// Once, before anything else.
  void track(std::shared_ptr<RunningCall> call) { call_ = std::move(call); }

  [[nodiscard]] bool ready() const final { return ready_.load(std::memory_order_acquire); }
  bool wait(std::optional<RunningCall::Time> until);
  /// Once it is ready: waits until who is to be called back has been, where others do that. True if
  /// that is so, or not to be waited for.
  bool wait_told(std::optional<RunningCall::Time> until);
  void cancel() {
    if (!ready()) call_->cancel();
  }
  [[nodiscard]] RunningCall& call() const { return *call_; }
  /// Until unwatch(), `completions` hears when it becomes ready, or has: of `index`, once.
  void watch(Completions& completions, std::size_t index);
  void unwatch(const Completions& completions);
  /// Once it is ready.
  [[nodiscard]] std::exception_ptr error() const { return error_; }

 protected:
  void become_ready();
  /// True if nobody is being called back, or is to be.
  [[nodiscard]] virtual bool is_told() = 0;

  std::exception_ptr error_;
  std::mutex mutex_;

 private:
  struct Watcher {
    Completions* completions;
    std::size_t index;
  };

  std::shared_ptr<RunningCall> call_;
  std::atomic<bool> ready_ = false;
  std::vector<Watcher> watchers_;
};

/// The result, of type R, and who is to hear of it.
template <class R>
class AsyncState final : public AsyncStateBase {
 public:
  using Callback = std::function<void(AsyncState&)>;

  void call_back(Callback callback) {
    bool told = false;
    {
      const std::lock_guard lock(mutex_);
      callbacks_.push_back(std::move(callback));
      told = std::exchange(told_, false);
    }
    if (told) call().tell_again(shared_from_this());
  }

  // Once it is ready.
  [[nodiscard]] Placed<R>& value() { return *value_; }
  R take() {
    if (error_) std::rethrow_exception(error_);
    if (taken_.exchange(true)) throw_taken();
    if constexpr (!std::is_void_v<R>) return std::move(*value_);
  }

  /// It is what `make` returns, or throws. Once, under the engine's lock.
  template <class Make>
  void settle(Make make) {
    try {
      value_.emplace(make());
    } catch (...) {
      error_ = std::current_exception();
    }
    become_ready();
  }
  bool concerns_nobody() override {
    const std::lock_guard lock(mutex_);
    return told_ = callbacks_.empty();
  }
  bool tell() override {
    Callback next;
    {
      const std::lock_guard lock(mutex_);
      told_ = callbacks_.empty();
      if (told_) return false;
      next = std::move(callbacks_.front());
      callbacks_.pop_front();
      calling_ = true;
    }
    const Calling until_it_returns(*this);
    next(*this);
    return true;
  }

 private:
  class Calling {
   public:
    explicit Calling(AsyncState& state) : state_(state) {}
    Calling(const Calling&) = delete;
    Calling& operator=(const Calling&) = delete;
    ~Calling() {
      const std::lock_guard lock(state_.mutex_);
      state_.calling_ = false;
    }

   private:
    AsyncState& state_;
  };

  bool is_told() override {
    const std::lock_guard lock(mutex_);
    return callbacks_.empty() && !calling_;
  }

  std::optional<Placed<R>> value_;
  std::atomic<bool> taken_ = false;
  std::deque<Callback> callbacks_;
  bool calling_ = false;  ///< back
  bool told_ = false;     ///< nobody is about to call back
};

/// `Range` is a value; `Gather` makes the result.
template <class Call, class Function, class Range, class Gather>
class AsyncCall final : public PendingCall {
  using R = typename Gather::Result;

 public:
  AsyncCall(const Function& function, Range range, CallOptions options,
            std::shared_ptr<AsyncState<R>> result)
      : options_(std::move(options)),
        result_(std::move(result)),
        function_(function),
        call_(function_),
        job_(call_, std::move(range)) {
    job_.expect_results();
  }

  [[nodiscard]] Job& job() override { return job_; }
  [[nodiscard]] const CallOptions& options() const override { return options_; }
  [[nodiscard]] std::shared_ptr<Expected> result() const override { return result_; }
  void finish(const RunReport& report, std::exception_ptr error) override {
    result_->settle([&]() -> Placed<R> {
      if (error) std::rethrow_exception(error);
      if constexpr (std::is_void_v<R>) {
        job_.take(report);
        return {};
      } else {
        return job_.take(report);
      }
    });
  }

 private:
  const CallOptions options_;
  const std::shared_ptr<AsyncState<R>> result_;
  const Function function_;
  const Call call_;
  MapJob<Call, Range, Gather> job_;
};

}  // namespace bulkhead::detail
