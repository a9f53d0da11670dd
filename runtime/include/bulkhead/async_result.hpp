// SPDX-License-Identifier: MIT
//
// AsyncResult: what map_async and the like return at once.
#pragma once

#include <bulkhead/detail/async_call.hpp>
#include <bulkhead/error.hpp>

#include <chrono>
#include <exception>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

namespace bulkhead {

namespace detail {
struct ResultAccess;
}

/// The result, of type R, of a call that goes on by itself; as std::shared_future, a handle: copies
/// are the same result. Thread-safety: any member function may be called from any thread, also on
/// the same result. A result that is dropped lets its call go on; a pool that ends ends its calls,
/// whose results then are cancellations. Who waits does the pool's work meanwhile.
template <class R>
class AsyncResult {
 public:
  /// The value. Waits for it, and for callbacks that were given before and are called in another
  /// thread; throws what the call throws (see Pool::map). Of one result it can be had once, as it
  /// is moved out: then get() throws Error.
  R get() const {
    wait();
    state_->wait_told(std::nullopt);
    return state_->take();
  }
  /// The same; throws NotReady if it takes longer, and the call goes on.
  R get(std::chrono::nanoseconds timeout) const {
    const auto until = detail::time_from_now(timeout);
    if (!state_->wait(until) || !state_->wait_told(until)) detail::throw_not_ready(timeout);
    return state_->take();
  }
  /// Waits until the call has ended, well or not.
  void wait() const { state_->wait(std::nullopt); }
  /// The same, no longer than that. True if it has ended.
  bool wait(std::chrono::nanoseconds timeout) const {
    return state_->wait(detail::time_from_now(timeout));
  }
  /// True if the call has ended, well or not.
  [[nodiscard]] bool ready() const { return state_->ready(); }
  /// True if it has ended well. Throws NotReady if it has not ended.
  [[nodiscard]] bool successful() const {
    if (!ready()) detail::throw_not_ready();
    return state_->error() == nullptr;
  }
  /// What get() would throw; null if the call has ended well. Throws NotReady if it has not ended.
  [[nodiscard]] std::exception_ptr error() const {
    if (!ready()) detail::throw_not_ready();
    return state_->error();
  }
  /// The tasks that have not ended are cancelled: those that wait are not run, those that run are
  /// ended, as on a timeout. Does not wait. Nothing, once the call has ended.
  void cancel() const { state_->cancel(); }

  /// `f(value)` is called when the call has ended well: with an R&, or nothing if R is void. If it
  /// moves the value away, get() returns what is left. Callbacks run in the pool's helper thread
  /// (see Options::helper_thread), of one pool one at a time, with no lock held, in the order in
  /// which they were given: one may use the pool, wait for other results, end the pool. What it
  /// throws goes to the logger.
  template <class F>
  const AsyncResult& on_success(F f) const {
    state_->call_back([f = std::move(f)](detail::AsyncState<R>& state) mutable {
      if (state.error()) return;
      if constexpr (std::is_void_v<R>) {
        f();
      } else {
        f(state.value());
      }
    });
    return *this;
  }
  /// The same when it has not: `f(std::exception_ptr)` gets what get() throws.
  template <class F>
  const AsyncResult& on_error(F f) const {
    state_->call_back([f = std::move(f)](detail::AsyncState<R>& state) mutable {
      if (state.error()) f(state.error());
    });
    return *this;
  }
  /// The same however it has ended: `f(result)` gets this result.
  template <class F>
  const AsyncResult& on_done(F f) const {
    state_->call_back([f = std::move(f)](detail::AsyncState<R>& state) mutable {
      f(AsyncResult(std::static_pointer_cast<detail::AsyncState<R>>(state.shared_from_this())));
    });
    return *this;
  }

 private:
  friend class Pool;
  friend struct detail::ResultAccess;
  explicit AsyncResult(std::shared_ptr<detail::AsyncState<R>> state) : state_(std::move(state)) {}

  std::shared_ptr<detail::AsyncState<R>> state_;
};

}  // namespace bulkhead
