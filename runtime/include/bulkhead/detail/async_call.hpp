// SPDX-License-Identifier: MIT
//
// A call that goes on by itself, with its types: everything that it needs, and its result.
#pragma once

#include <bulkhead/detail/calls.hpp>
#include <bulkhead/detail/gather.hpp>
#include <bulkhead/detail/job.hpp>
#include <bulkhead/detail/map_job.hpp>
#include <bulkhead/error.hpp>
#include <bulkhead/options.hpp>

#include <atomic>
#include <chrono>
#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <type_traits>
#include <utility>

namespace bulkhead::detail {

[[noreturn]] void throw_not_ready(std::optional<std::chrono::nanoseconds> timeout = std::nullopt);
[[noreturn]] void throw_taken();
/// Saturates.
[[nodiscard]] RunningCall::Time time_from_now(std::chrono::nanoseconds timeout);

/// The result, and who is to hear of it.
template <class R>
class AsyncState : public PendingCall {
 public:
  using Callback = std::function<void(AsyncState&)>;

  explicit AsyncState(CallOptions options) : options_(std::move(options)) {}

  void begin(Engine& engine) { running_ = engine.start(shared_from_this()); }

  bool wait(std::optional<RunningCall::Time> until) { return ready() || running_->wait(until); }
  void cancel() {
    if (!ready()) running_->cancel();
  }
  void call_back(Callback callback) {
    bool told = false;
    {
      const std::lock_guard lock(mutex_);
      callbacks_.push_back(std::move(callback));
      told = std::exchange(told_, false);
    }
    if (told) running_->tell_again(shared_from_this());
  }

  [[nodiscard]] bool ready() const { return ready_.load(std::memory_order_acquire); }
  // Once it is ready.
  [[nodiscard]] std::exception_ptr error() const { return error_; }
  [[nodiscard]] Placed<R>& value() { return *value_; }
  R take() {
    if (error_) std::rethrow_exception(error_);
    if (taken_.exchange(true)) throw_taken();
    if constexpr (!std::is_void_v<R>) return std::move(*value_);
  }

  [[nodiscard]] const CallOptions& options() const final { return options_; }
  void finish(const RunReport& report, std::exception_ptr error) final {
    try {
      if (error) std::rethrow_exception(error);
      value_.emplace(take_results(report));
    } catch (...) {
      error_ = std::current_exception();
    }
    ready_.store(true, std::memory_order_release);
  }
  bool tell() final {
    Callback next;
    {
      const std::lock_guard lock(mutex_);
      told_ = callbacks_.empty();
      if (told_) return false;
      next = std::move(callbacks_.front());
      callbacks_.pop_front();
    }
    next(*this);
    return true;
  }

 protected:
  virtual Placed<R> take_results(const RunReport& report) = 0;

 private:
  const CallOptions options_;
  std::shared_ptr<RunningCall> running_;
  std::optional<Placed<R>> value_;
  std::exception_ptr error_;
  std::atomic<bool> ready_ = false;
  std::atomic<bool> taken_ = false;
  std::mutex mutex_;
  std::deque<Callback> callbacks_;
  bool told_ = false;  ///< nobody is about to call back
};

/// `Range` is a value; `Gather` makes an R.
template <class Call, class Function, class Range, class Gather>
class AsyncCall final : public AsyncState<typename Gather::Result> {
  using Result = typename Gather::Result;
  using State = AsyncState<Result>;

 public:
  AsyncCall(const Function& function, Range range, CallOptions options)
      : State(std::move(options)),
        function_(function),
        call_(function_),
        job_(call_, std::move(range)) {
    job_.expect_results();
  }

  [[nodiscard]] Job& job() override { return job_; }

 private:
  Placed<Result> take_results(const RunReport& report) override {
    if constexpr (std::is_void_v<Result>) {
      job_.take(report);
      return {};
    } else {
      return job_.take(report);
    }
  }

  const Function function_;
  const Call call_;
  MapJob<Call, Range, Gather> job_;
};

}  // namespace bulkhead::detail
