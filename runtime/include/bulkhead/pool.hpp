// SPDX-License-Identifier: MIT
//
// Start here. A Pool of worker processes that run your function on the elements of a range:
//
//   bulkhead::Pool pool;                                    // one worker per usable CPU
//   std::vector<double> scores = pool.map(train, grid);     // in the order of grid
//
// Whatever a task does (throw, crash, exit, leak) costs that task and no other; try_map() gives one
// outcome for every element and loses nothing.
//
// Callables: functions, captureless lambdas, functors without state, functors with a
// serialize(), and bulkhead::partial(f, a, b...). Lambdas with captures: see fork_map.hpp.
// Arguments and results: see codec.hpp.
#pragma once

#include <bulkhead/async_result.hpp>
#include <bulkhead/codec.hpp>
#include <bulkhead/detail/arrivals.hpp>
#include <bulkhead/detail/calls.hpp>
#include <bulkhead/detail/gather.hpp>
#include <bulkhead/detail/map_job.hpp>
#include <bulkhead/detail/reduce_job.hpp>
#include <bulkhead/detail/stream_call.hpp>
#include <bulkhead/detail/submitted_calls.hpp>
#include <bulkhead/error.hpp>
#include <bulkhead/failure.hpp>
#include <bulkhead/options.hpp>
#include <bulkhead/outcome.hpp>
#include <bulkhead/partial.hpp>
#include <bulkhead/remote_error.hpp>
#include <bulkhead/result_stream.hpp>
#include <bulkhead/stats.hpp>

#include <chrono>
#include <functional>
#include <initializer_list>
#include <memory>
#include <optional>
#include <ranges>
#include <span>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

namespace bulkhead {

namespace detail {
struct ForkMap;
template <class K, class V>
struct KeyedCall;  // in <bulkhead/by_key.hpp>
struct Missing;
}  // namespace detail
template <class K, class V, class Input = detail::Missing, class Mapper = detail::Missing,
          class Reducer = detail::Missing>
class KeyedJob;  // in <bulkhead/keyed_job.hpp>

/// Workers that live until the pool ends, and calls to run on them.
///
/// Thread-safety: any member function may be called from any thread, except the destructor, which
/// must not run beside another call, but may run while threads wait for results of calls that go on
/// by themselves (they are told), and in a callback. A call does its own work in the calling
/// thread; the first call that goes on by itself starts a thread (see Options::helper_thread).
/// Fork: in a forked copy of the process every call throws PoolClosed; the workers are the
/// parent's.
class Pool {
 public:
  /// Forks the workers. Throws InvalidArgument if an option makes no sense, Error if the process
  /// has other threads (see StartMethod::fork), SystemError if the system refuses what is needed;
  /// then nothing is left behind.
  Pool() : Pool(Options{}) {}
  explicit Pool(int workers);
  explicit Pool(Options options);
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;
  /// Terminates: see terminate().
  ~Pool();

  /// f(x) for each element x of the range, in order. If tasks fail, throws the failure of the
  /// lowest index (as a RemoteError, and as the standard exception that the task threw) once no
  /// task runs any more; tasks behind it may not have run. Returns nothing if f does. What the
  /// range itself throws comes through unchanged. A range of unknown size is drawn lazily. Throws
  /// PoolClosed, BrokenPool.
  template <class F, std::ranges::input_range Range>
  auto map(const F& f, Range&& range, const CallOptions& options = {}) {
    return call<detail::Values, false>(f, std::forward<Range>(range), options);
  }

  /// The outcome of f(x) for each element x of the range, in order: a std::vector<Outcome<R>>. No
  /// failure of a task is thrown and none stops the others.
  template <class F, std::ranges::input_range Range>
  auto try_map(const F& f, Range&& range, const CallOptions& options = {}) {
    return call<detail::Outcomes, false>(f, std::forward<Range>(range), options);
  }

  /// map(f, {1, 2, 3}).
  template <class F, class T>
  auto map(const F& f, std::initializer_list<T> elements, const CallOptions& options = {}) {
    return map(f, std::span<const T>(elements.begin(), elements.size()), options);
  }
  /// try_map(f, {1, 2, 3}).
  template <class F, class T>
  auto try_map(const F& f, std::initializer_list<T> elements, const CallOptions& options = {}) {
    return try_map(f, std::span<const T>(elements.begin(), elements.size()), options);
  }

  /// f(a, b, ...) for each tuple (a, b, ...) of the range; otherwise as map().
  template <class F, std::ranges::input_range Range>
  auto starmap(const F& f, Range&& range, const CallOptions& options = {}) {
    return call<detail::Values, true>(f, std::forward<Range>(range), options);
  }

  /// The calls of a range of delayed(f, a, b...), which may be of different functions of one type;
  /// otherwise as map().
  template <std::ranges::input_range Range>
  auto run(Range&& calls, const CallOptions& options = {}) {
    return map(detail::Invoke{}, std::forward<Range>(calls), options);
  }
  /// The same with outcomes, as try_map().
  template <std::ranges::input_range Range>
  auto try_run(Range&& calls, const CallOptions& options = {}) {
    return try_map(detail::Invoke{}, std::forward<Range>(calls), options);
  }
  /// run({delayed(f, 1), delayed(f, 2)}).
  template <class Call>
  auto run(std::initializer_list<Call> calls, const CallOptions& options = {}) {
    return run(std::span<const Call>(calls.begin(), calls.size()), options);
  }
  /// try_run({delayed(f, 1), delayed(f, 2)}).
  template <class Call>
  auto try_run(std::initializer_list<Call> calls, const CallOptions& options = {}) {
    return try_run(std::span<const Call>(calls.begin(), calls.size()), options);
  }

  // Reductions. `map`, `reduce` and `op` run in workers only, and their partial results stay there
  // or travel encoded.

  /// The combination of map(x) of all elements x of the range, in their order, and of init: a value
  /// of init's type T (of a string literal, std::string). Of a range of n elements it is
  ///
  ///   y(i)       = T(map(x(i)))
  ///   node(0, i) = y(i)                                               for i < n
  ///   node(l, i) = reduce(node(l - 1, 2 i), node(l - 1, 2 i + 1))     if there are both;
  ///                node(l - 1, 2 i) where only that one is there
  ///   result     = reduce(init, node(L, 0))                           where L is the level with
  ///   one
  ///                                                                   node; init if n is 0
  ///
  /// and the same for any number of workers, in any timing, and after retries: sums of
  /// floating-point numbers have the same bits. If `reduce` is associative, that is reduce(init,
  /// y(0), y(1), ...); it need not be commutative. It must take two values of type T, which may be
  /// lvalues or, if it likes, rvalues. T must have a codec, and must not hold a Broadcast.
  ///
  /// Workers are sent as many elements at a time as make up about a millisecond of work, and ranges
  /// are drawn lazily, so memory does not grow with the range. If tasks fail, throws the failure of
  /// the lowest index, as map() does; failures of `reduce` have the index of the last element that
  /// it was to combine. With retries, an element that fails is run again by itself, and those that
  /// were sent with it, too; this_task::attempt() is that of the element. With a timeout, which is
  /// that of each call of `map` and of `reduce`, elements are sent one by one. Progress::done
  /// counts elements. What tasks write is not attached to anything but failures.
  template <std::ranges::input_range Range, class Map, class Reduce, class T>
  auto map_reduce(Range&& range, const Map& map, const Reduce& reduce, T&& init,
                  const CallOptions& options = {}) {
    return reduction(std::forward<Range>(range), map, reduce, std::forward<T>(init), options,
                     [&](auto& job) { return job.run(engine(), options); });
  }
  /// The same as an Outcome<T>: failures of tasks, and a stop, are not thrown.
  template <std::ranges::input_range Range, class Map, class Reduce, class T>
  auto try_map_reduce(Range&& range, const Map& map, const Reduce& reduce, T&& init,
                      const CallOptions& options = {}) {
    return reduction(std::forward<Range>(range), map, reduce, std::forward<T>(init), options,
                     [&](auto& job) { return job.try_run(engine(), options); });
  }
  /// map_reduce() of the elements themselves: pool.reduce(xs, std::plus<>{}, 0.0).
  template <std::ranges::input_range Range, class Op, class T>
  auto reduce(Range&& range, const Op& op, T&& init, const CallOptions& options = {}) {
    return map_reduce(std::forward<Range>(range), std::identity{}, op, std::forward<T>(init),
                      options);
  }
  /// The same as an Outcome<T>.
  template <std::ranges::input_range Range, class Op, class T>
  auto try_reduce(Range&& range, const Op& op, T&& init, const CallOptions& options = {}) {
    return try_map_reduce(std::forward<Range>(range), std::identity{}, op, std::forward<T>(init),
                          options);
  }

  /// f(args...) in a worker. Throws its failure.
  template <class F, class... Args>
  auto apply(const F& f, Args&&... args) {
    using Arguments = std::tuple<detail::Stored<Args>...>;
    static_assert(!std::is_same_v<F, CallOptions>,
                  "bulkhead: apply takes no CallOptions; submit(options, f, args...).get() does");
    const Arguments arguments(std::forward<Args>(args)...);
    detail::require_travelling<std::decay_t<F>, Arguments, true>();
    return call<detail::One, true>(f, std::span(&arguments, 1), {});
  }

  /// What `reducer` makes of the values that `mapper` emits for each key: a KeyedResult<K, V>, see
  /// <bulkhead/by_key.hpp>, which has to be included.
  template <class K, class V, class Input, class Mapper, class Reducer>
  auto map_reduce_by_key(Input&& input, const Mapper& mapper, const Reducer& reducer,
                         const typename detail::KeyedCall<K, V>::Options& options = {}) {
    return detail::KeyedCall<K, V>::run(engine(), input, mapper, reducer, options);
  }
  /// The same, said step by step: a KeyedJob<K, V>, see <bulkhead/keyed_job.hpp>, which has to be
  /// included.
  template <class K, class V>
  [[nodiscard]] KeyedJob<K, V> job() {
    return {engine(), {}};
  }

  // Calls that go on by themselves: each returns an AsyncResult at once. Containers are copied, or
  // moved; views are kept as they are; any other range is read to its end first, in this thread.
  // `options` are copied; options.progress is called like a callback (see AsyncResult::on_success).

  /// map() as an AsyncResult<std::vector<R>>.
  template <class F, std::ranges::input_range Range>
  auto map_async(const F& f, Range&& range, const CallOptions& options = {}) {
    return start<detail::Values, false>(f, std::forward<Range>(range), options);
  }
  /// try_map() as an AsyncResult<std::vector<Outcome<R>>>.
  template <class F, std::ranges::input_range Range>
  auto try_map_async(const F& f, Range&& range, const CallOptions& options = {}) {
    return start<detail::Outcomes, false>(f, std::forward<Range>(range), options);
  }
  /// map_async(f, {1, 2, 3}).
  template <class F, class T>
  auto map_async(const F& f, std::initializer_list<T> elements, const CallOptions& options = {}) {
    return map_async(f, std::vector<T>(elements), options);
  }
  /// try_map_async(f, {1, 2, 3}).
  template <class F, class T>
  auto try_map_async(const F& f, std::initializer_list<T> elements,
                     const CallOptions& options = {}) {
    return try_map_async(f, std::vector<T>(elements), options);
  }
  /// starmap() as an AsyncResult<std::vector<R>>.
  template <class F, std::ranges::input_range Range>
  auto starmap_async(const F& f, Range&& range, const CallOptions& options = {}) {
    return start<detail::Values, true>(f, std::forward<Range>(range), options);
  }
  /// f(args...) in a worker, as an AsyncResult<R>.
  template <class F, class... Args>
    requires(!std::is_same_v<F, CallOptions>)
  auto apply_async(const F& f, Args&&... args) {
    return *enqueue(std::nullopt, {}, f, std::forward<Args>(args)...);
  }
  template <class F, class... Args>
  auto apply_async(const CallOptions& options, const F& f, Args&&... args) {
    std::vector<std::tuple<detail::Stored<Args>...>> arguments;
    arguments.emplace_back(std::forward<Args>(args)...);
    return start<detail::One, true>(f, std::move(arguments), options);
  }

  // The same for who has more calls to make than are to be under way at a time, see
  // Options::max_in_flight.

  /// apply_async() as soon as there is room; the thread does the pool's work meanwhile.
  template <class F, class... Args>
    requires(!std::is_same_v<F, CallOptions>)
  auto submit(const F& f, Args&&... args) {
    return *enqueue(detail::RunningCall::Time::max(), {}, f, std::forward<Args>(args)...);
  }
  /// The same if there is room now: a std::optional<AsyncResult<R>>. Of use in event loops.
  template <class F, class... Args>
    requires(!std::is_same_v<F, CallOptions>)
  auto try_submit(const F& f, const Args&... args) {
    return enqueue(detail::RunningCall::Time::min(), {}, f, args...);
  }
  /// The same if there is room within that time.
  template <class F, class... Args>
    requires(!std::is_same_v<F, CallOptions>)
  auto submit_for(std::chrono::nanoseconds timeout, const F& f, const Args&... args) {
    return enqueue(detail::time_from_now(timeout), {}, f, args...);
  }

  // The same with a time limit, retries or a seed. Of `options` no progress and no stop is taken
  // (InvalidArgument): AsyncResult::cancel() ends such a call.
  template <class F, class... Args>
  auto submit(const CallOptions& options, const F& f, Args&&... args) {
    return *enqueue(detail::RunningCall::Time::max(), options, f, std::forward<Args>(args)...);
  }
  template <class F, class... Args>
  auto try_submit(const CallOptions& options, const F& f, const Args&... args) {
    return enqueue(detail::RunningCall::Time::min(), options, f, args...);
  }
  template <class F, class... Args>
  auto submit_for(std::chrono::nanoseconds timeout, const CallOptions& options, const F& f,
                  const Args&... args) {
    return enqueue(detail::time_from_now(timeout), options, f, args...);
  }

  // Streams: results are read one by one, and elements drawn as the workers can do with them, so
  // that ranges may be endless; see ResultStream. A range that is not moved in must outlive the
  // stream, and so must what views of it refer to.

  /// f(x) for each element x of the range, in order, as a ResultStream<R>.
  template <class F, std::ranges::input_range Range>
  auto imap(const F& f, Range&& range, const CallOptions& options = {}) {
    return stream<detail::InOrder, false>(f, std::forward<Range>(range), options);
  }
  /// The same as the results come; ResultStream::index() says whose it is.
  template <class F, std::ranges::input_range Range>
  auto imap_unordered(const F& f, Range&& range, const CallOptions& options = {}) {
    return stream<detail::AsTheyCome, false>(f, std::forward<Range>(range), options);
  }
  /// The outcomes, in order, as a ResultStream<Outcome<R>>.
  template <class F, std::ranges::input_range Range>
  auto try_imap(const F& f, Range&& range, const CallOptions& options = {}) {
    return stream<detail::InOrder, true>(f, std::forward<Range>(range), options);
  }
  /// The same as they come.
  template <class F, std::ranges::input_range Range>
  auto try_imap_unordered(const F& f, Range&& range, const CallOptions& options = {}) {
    return stream<detail::AsTheyCome, true>(f, std::forward<Range>(range), options);
  }
  /// imap(f, {1, 2, 3}).
  template <class F, class T>
  auto imap(const F& f, std::initializer_list<T> elements, const CallOptions& options = {}) {
    return imap(f, std::vector<T>(elements), options);
  }
  /// try_imap(f, {1, 2, 3}).
  template <class F, class T>
  auto try_imap(const F& f, std::initializer_list<T> elements, const CallOptions& options = {}) {
    return try_imap(f, std::vector<T>(elements), options);
  }

  // Event loops. From the first call of either of these on, the pool's helper thread does nothing,
  // and is not started: calls that go on by themselves get on in poll() (and where a thread waits
  // for any), and callbacks are called there; at the end of the pool in join() and the destructor.

  /// A descriptor that becomes readable when there is something for poll() to do: to be watched,
  /// with epoll or the like, as long as the pool lives; not to be read nor closed. Throws
  /// SystemError.
  int native_handle();
  /// Does what can be done now, for some milliseconds at most, and returns; callbacks take as long
  /// as they take, and so does the debug information of the program, which is read when the first
  /// task of the process crashes. Does not throw what they throw (see AsyncResult::on_success).
  /// Throws SystemError the first time, if the system refuses the descriptors.
  void poll();

  /// Takes no more calls; those that run go on.
  void close();
  /// Closes, and waits until all calls have ended and callbacks have returned, no longer than that:
  /// true if they have. Whoever can wait no longer then terminates; a service ends with
  /// close(); drain(10s); terminate(). What an unread stream has not drawn yet has not ended.
  /// Callbacks that run in this thread (see Options::helper_thread) are not cut short. Throws Error
  /// in a call of the same thread, or beside a stream that this thread has and has not read to its
  /// end: drop it before.
  bool drain(std::chrono::nanoseconds timeout);
  /// Waits until all calls have returned, lets the workers run their finalizers and leave (they are
  /// killed after 30 s). To be called after close() or terminate(): throws Error otherwise.
  void join();
  /// Kills all workers now, without finalizers. Calls that run in other threads end with cancelled
  /// tasks. Bounded to about two seconds, six on a machine that is short of CPUs. Again, or after
  /// close(): does no harm.
  void terminate();

  /// From now on the pool is to have so many workers, 1 to 1024, also in the midst of calls. Those
  /// that come are forked from the same snapshot as the first ones. Those that go have the highest
  /// numbers: they get no new tasks, what waits there goes to others, the task that runs comes to
  /// its end, then the finalizer runs; a call that hangs there holds its worker. Does not wait for
  /// any of that, some of which happens when the pool is used next. Throws InvalidArgument,
  /// PoolClosed, BrokenPool.
  void resize(int workers);
  /// Number of workers that was asked for last.
  [[nodiscard]] int workers() const;
  /// What has happened so far, and what happens now: see stats.hpp. Also after close(), join() and
  /// terminate(). Waits no longer than any other call does for the thread that drives the pool.
  [[nodiscard]] Stats stats() const;
  /// The same for who may outlive the pool.
  [[nodiscard]] StatsReader stats_reader() const;

 private:
  friend struct detail::ForkMap;

  template <template <class> class Gather, bool kSpread, class F, class Range>
  auto call(const F& f, Range&& range, const CallOptions& options) {
    using Function = std::decay_t<F>;
    using Argument = std::ranges::range_value_t<Range>;
    detail::require_travelling<Function, Argument, kSpread>();
    if constexpr (detail::travels<Function, Argument, kSpread>()) {
      using Call = detail::TravellingCall<Function, Argument, kSpread>;
      const Function function = f;
      const Call what(function);
      detail::MapJob<Call, Range, Gather<typename Call::Result>> job(what,
                                                                     std::forward<Range>(range));
      return job.run(engine(), options);
    } else {
      return detail::Mistyped{};
    }
  }

  template <class Range, class Map, class Op, class Init, class Run>
  auto reduction(Range&& range, const Map& map, const Op& op, Init&& init,
                 const CallOptions& options, Run run) {
    using Argument = std::ranges::range_value_t<Range>;
    using T = detail::Stored<Init>;
    detail::require_reducing<std::decay_t<Map>, std::decay_t<Op>, Argument, T>();
    if constexpr (detail::reduces<std::decay_t<Map>, std::decay_t<Op>, Argument, T>()) {
      detail::ReduceJob<std::decay_t<Map>, std::decay_t<Op>, Range, T> job(
          map, op, std::forward<Range>(range), T(std::forward<Init>(init)), engine().workers(),
          options);
      return run(job);
    } else {
      return detail::Mistyped{};
    }
  }

  template <template <class> class Gather, bool kSpread, class F, class Range>
  auto start(const F& f, Range&& range, const CallOptions& options) {
    using Function = std::decay_t<F>;
    using Argument = std::ranges::range_value_t<Range>;
    detail::require_travelling<Function, Argument, kSpread>();
    if constexpr (detail::travels<Function, Argument, kSpread>()) {
      using Call = detail::TravellingCall<Function, Argument, kSpread>;
      using Results = Gather<typename Call::Result>;
      using Owned = decltype(detail::own(std::forward<Range>(range)));
      auto result = std::make_shared<detail::AsyncState<typename Results::Result>>();
      auto pending = std::make_shared<detail::AsyncCall<Call, Function, Owned, Results>>(
          f, detail::own(std::forward<Range>(range)), options, result);
      result->track(engine().start(std::move(pending)));
      return AsyncResult<typename Results::Result>(std::move(result));
    } else {
      return detail::Mistyped{};
    }
  }

  /// Nothing: there was no room until then. Without a time there always is.
  template <class F, class... Args>
  auto enqueue(std::optional<detail::RunningCall::Time> room_until, const CallOptions& options,
               const F& f, Args&&... args) {
    using Function = std::decay_t<F>;
    using Arguments = std::tuple<detail::Stored<Args>...>;
    static_assert(!(std::is_same_v<std::decay_t<Args>, CallOptions> || ...),
                  "bulkhead: CallOptions come before the function here: submit(options, f, "
                  "args...), apply_async(options, f, args...)");
    detail::require_travelling<Function, Arguments, true>();
    if constexpr (detail::travels<Function, Arguments, true>()) {
      using Call = detail::EncodedCall<detail::TravellingCall<Function, Arguments, true>>;
      if constexpr (Call::kHasState) {  // travels with the arguments
        return enqueue(room_until, options, detail::Invoke{}, f, std::forward<Args>(args)...);
      } else if (engine().takes_submissions()) {
        return enqueue_encoded<Call, Function>(room_until, options, f,
                                               Arguments(std::forward<Args>(args)...));
      } else {
        (void)detail::submission_key({}, options);
        return std::optional(apply_async(options, f, std::forward<Args>(args)...));
      }
    } else {
      return std::optional(detail::Mistyped{});
    }
  }

  template <class Call, class Function, class Arguments>
  std::optional<AsyncResult<typename Call::Result>> enqueue_encoded(
      std::optional<detail::RunningCall::Time> room_until, const CallOptions& options,
      const Function& f, const Arguments& arguments) {
    const Call call(f);
    auto result = std::make_shared<detail::AsyncState<typename Call::Result>>();
    detail::Submission one;
    one.argument.add(arguments);
    one.result = result;
    const auto make = [&] {
      return std::make_shared<detail::FunctionCalls<Call, Function>>(f, options);
    };
    const auto key = detail::submission_key({call.describe(), call.function()}, options);
    auto running = engine().submit(key, make, std::move(one), room_until);
    if (!running) return std::nullopt;
    result->track(std::move(running));
    return AsyncResult<typename Call::Result>(std::move(result));
  }

  template <template <class> class Gather, bool kOutcomes, class F, class Range>
  auto stream(const F& f, Range&& range, const CallOptions& options) {
    using Function = std::decay_t<F>;
    using Argument = std::ranges::range_value_t<Range>;
    detail::require_travelling<Function, Argument, false>();
    if constexpr (detail::travels<Function, Argument, false>()) {
      using Call = detail::EncodedCall<detail::TravellingCall<Function, Argument, false>>;
      using R = typename Call::Result;
      auto state = std::make_shared<detail::StreamCall<Call, Function, Range, Gather<R>>>(
          f, std::forward<Range>(range), options);
      state->begin(engine().open(state));
      return ResultStream<std::conditional_t<kOutcomes, Outcome<R>, R>>(std::move(state));
    } else {
      return detail::Mistyped{};
    }
  }

  /// Throws PoolClosed in a worker of this very pool, which was forked before there was anything
  /// here.
  [[nodiscard]] detail::Engine& engine() const;

  std::shared_ptr<detail::Engine> engine_;
  std::shared_ptr<StatsReader::Final> final_;
};

}  // namespace bulkhead
