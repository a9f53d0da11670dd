// SPDX-License-Identifier: MIT
//
// Results of a pool for programs that are built on Boost.Asio; the CMake target bulkhead::asio.
//
//   auto image = co_await bulkhead::async_get(executor, pool.apply_async(decode, bytes),
//                                             boost::asio::use_awaitable);
//
// By itself this needs nothing but the pool's helper thread, which posts to the executor: its
// context must outlive the pool. With an AsioLoop there is no other thread: the io_context looks
// after the pool.
#pragma once

#include <bulkhead/async_result.hpp>
#include <bulkhead/pool.hpp>

#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <type_traits>
#include <utility>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/version.hpp>
#if BOOST_ASIO_VERSION >= 102000  // Boost 1.77
#include <boost/asio/associated_cancellation_slot.hpp>
#endif

namespace bulkhead {

namespace detail {

template <class T>
concept AsioContext = std::is_convertible_v<T&, boost::asio::execution_context&>;

template <class R>
struct AsioSignature {
  static_assert(std::is_default_constructible_v<R>,
                "bulkhead: Asio completes with a default-constructed result beside an error, which "
                "this type has not; return a std::optional of it");
  using Type = void(std::exception_ptr, R);
};
template <>
struct AsioSignature<void> {
  using Type = void(std::exception_ptr);
};

/// A handler, to be called once, through its executor.
template <class R, class Handler, class Fallback>
class AsioCompletion {
  using Executor = boost::asio::associated_executor_t<Handler, Fallback>;

 public:
  AsioCompletion(Handler handler, const Fallback& fallback)
      : work_(boost::asio::get_associated_executor(handler, fallback)),
        io_work_(fallback),
        handler_(std::move(handler)) {}

  void cancel_with([[maybe_unused]] AsyncResult<R> result) {
#if BOOST_ASIO_VERSION >= 102000
    auto slot = boost::asio::get_associated_cancellation_slot(handler_);
    if (!slot.is_connected()) return;
    slot.assign([result = std::move(result)](boost::asio::cancellation_type) { result.cancel(); });
#endif
  }

  /// From any thread.
  static void post(std::shared_ptr<AsioCompletion> self, const AsyncResult<R>& result) {
    const Fallback io_executor = self->io_work_.get_executor();
    boost::asio::post(io_executor, [self = std::move(self), result]() mutable {
      const Executor executor = self->work_.get_executor();
      boost::asio::dispatch(executor, [self = std::move(self), result] { self->complete(result); });
    });
  }

 private:
  void complete(const AsyncResult<R>& result) {
#if BOOST_ASIO_VERSION >= 102000
    if (auto slot = boost::asio::get_associated_cancellation_slot(handler_); slot.is_connected())
      slot.clear();
#endif
    Handler handler = std::move(handler_);
    std::exception_ptr error = result.error();
    if constexpr (std::is_void_v<R>) {
      std::move(handler)(std::move(error));
    } else {
      std::optional<R> value;
      try {
        value.emplace(result.get());
      } catch (...) {
        error = std::current_exception();
        value.emplace();
      }
      std::move(handler)(std::move(error), *std::move(value));
    }
  }

  boost::asio::executor_work_guard<Executor> work_;
  boost::asio::executor_work_guard<Fallback> io_work_;
  Handler handler_;
};

/// Begins to wait.
template <class Executor>
struct AsioGet {
  using executor_type = Executor;
  [[nodiscard]] executor_type get_executor() const noexcept { return executor; }

  template <class Handler, class R>
  void operator()(Handler&& handler, AsyncResult<R> result) const {
    using Completion = AsioCompletion<R, std::decay_t<Handler>, Executor>;
    auto completion = std::make_shared<Completion>(std::forward<Handler>(handler), executor);
    completion->cancel_with(result);
    result.on_done([completion = std::move(completion)](const AsyncResult<R>& done) mutable {
      Completion::post(std::move(completion), done);
    });
  }

  Executor executor;
};

}  // namespace detail

/// Completes with the value of `result`, or with what its get() throws: void(std::exception_ptr,
/// R), or void(std::exception_ptr) if R is void. `token` is a callback, boost::asio::use_future,
/// use_awaitable or any other completion token; the callback is dispatched by `executor` to its own
/// associated executor, if it has one, and never runs within async_get(). As long as it waits, both
/// have work to do. The value is moved out of `result`. Cancellation (with Boost 1.77 or later,
/// through the handler's cancellation slot) cancels the call, which then mostly completes with
/// CancelledError.
template <class Executor, class R, class Token>
  requires(boost::asio::is_executor<Executor>::value ||
           boost::asio::execution::is_executor<Executor>::value)
auto async_get(const Executor& executor, AsyncResult<R> result, Token&& token) {
  using Signature = typename detail::AsioSignature<R>::Type;
  return boost::asio::async_initiate<Token, Signature>(detail::AsioGet<Executor>{executor}, token,
                                                       std::move(result));
}
/// The same on the executor of an io_context or the like.
template <class Context, class R, class Token>
  requires std::is_convertible_v<Context&, boost::asio::execution_context&>
auto async_get(Context& context, AsyncResult<R> result, Token&& token) {
  return async_get(context.get_executor(), std::move(result), std::forward<Token>(token));
}

/// Has a pool looked after by the threads that run an Asio executor: see Pool::poll(). Callbacks
/// run there, one at a time. As long as it is there the executor has work to do: io_context::run()
/// does not return. It must not outlive the pool, nor the executor's context. Any thread may
/// destroy it.
class AsioLoop {
 public:
  /// Throws what Pool::native_handle() throws, and boost::system::system_error.
  AsioLoop(Pool& pool, const boost::asio::any_io_executor& executor)
      : state_(std::make_shared<State>(pool, executor)) {
    const std::lock_guard lock(state_->mutex);
    state_->watch(state_);
  }
  template <detail::AsioContext Context>
  AsioLoop(Pool& pool, Context& context) : AsioLoop(pool, context.get_executor()) {}
  AsioLoop(const AsioLoop&) = delete;
  AsioLoop& operator=(const AsioLoop&) = delete;
  /// Waits for a poll that another thread is just making. The pool's calls do not get on any more,
  /// unless somebody waits for them.
  ~AsioLoop() { state_->stop(); }

 private:
  struct State {
    State(Pool& looked_after, const boost::asio::any_io_executor& executor)
        : pool(looked_after), descriptor(executor, looked_after.native_handle()) {}
    // Not to be closed.
    ~State() { stop(); }

    void watch(const std::shared_ptr<State>& self) {
      using boost::asio::posix::stream_descriptor;
      descriptor.async_wait(stream_descriptor::wait_read,
                            [self](const boost::system::error_code& error) {
                              const std::lock_guard lock(self->mutex);
                              if (error || !self->descriptor.is_open()) return;
                              self->pool.poll();
                              if (self->descriptor.is_open()) self->watch(self);
                            });
    }
    void stop() {
      const std::lock_guard lock(mutex);
      if (descriptor.is_open()) descriptor.release();
    }

    std::recursive_mutex mutex;  ///< a callback may end the loop
    Pool& pool;
    boost::asio::posix::stream_descriptor descriptor;
  };

  std::shared_ptr<State> state_;
};

}  // namespace bulkhead
