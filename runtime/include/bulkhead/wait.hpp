// SPDX-License-Identifier: MIT
//
// Waiting for several results at a time:
//
//   auto [done, pending] = bulkhead::wait(results, bulkhead::WaitFor::first, 100ms);
//   for (auto& result : bulkhead::as_completed(results)) use(result.get());
//
// The thread that waits does the pool's work meanwhile; results may be of several pools.
#pragma once

#include <bulkhead/async_result.hpp>
#include <bulkhead/detail/completions.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <memory>
#include <optional>
#include <ranges>
#include <utility>
#include <vector>

namespace bulkhead {

namespace detail {

/// `total` results are waited for, and `ready` of them are there.
[[noreturn]] void throw_incomplete(std::size_t ready, std::size_t total,
                                   std::chrono::nanoseconds timeout);

struct ResultAccess {
  template <class R>
  static std::shared_ptr<AsyncStateBase> state_of(const AsyncResult<R>& result) {
    return result.state_;
  }
  template <class R>
  static AsyncResult<R> result_of(const std::shared_ptr<AsyncStateBase>& state) {
    return AsyncResult<R>(std::static_pointer_cast<AsyncState<R>>(state));
  }
  template <class Results>
  static Completions::Results states_of(Results& results) {
    Completions::Results states;
    for (const auto& result : results) states.push_back(state_of(result));
    return states;
  }
};

template <class T>
struct ValueOf;
template <class R>
struct ValueOf<AsyncResult<R>> {
  using Type = R;
};
/// The R of a range of AsyncResult<R>.
template <class Results>
using ValueOfRange = typename ValueOf<std::ranges::range_value_t<Results>>::Type;

}  // namespace detail

/// What wait() waits for.
enum class WaitFor : std::uint8_t {
  first,  ///< at least one result
  all,
};

/// Results that are there, and those that are not, each in the order in which they were given.
template <class R>
struct WaitResult {
  std::vector<AsyncResult<R>> done;
  std::vector<AsyncResult<R>> pending;
};

/// Waits until results of the range are there, as `goal` says, or the time is up, which is no
/// error. Whether a call has ended well does not matter. A result that is in the range more than
/// once counts once.
template <std::ranges::input_range Results, class R = detail::ValueOfRange<Results>>
WaitResult<R> wait(Results&& results, WaitFor goal = WaitFor::all,
                   std::optional<std::chrono::nanoseconds> timeout = std::nullopt) {
  using detail::ResultAccess;
  detail::Completions completions(ResultAccess::states_of(results));
  const std::size_t all = completions.results().size();
  const auto until = timeout ? std::optional(detail::time_from_now(*timeout)) : std::nullopt;
  completions.wait(goal == WaitFor::all ? all : std::size_t{1}, until);
  WaitResult<R> sorted;
  for (const auto& state : completions.results()) {
    auto& place = state->ready() ? sorted.done : sorted.pending;
    place.push_back(ResultAccess::result_of<R>(state));
  }
  return sorted;
}

/// Results in the order in which they come: a range to be gone through once, by one thread. To go
/// on waits for the next, and throws NotReady if the time is up. Then begin() goes on with those
/// that have come meanwhile.
template <class R>
class Completed {
 public:
  Completed(detail::Completions::Results results, std::optional<std::chrono::nanoseconds> timeout)
      : completions_(std::make_unique<detail::Completions>(std::move(results))), timeout_(timeout) {
    if (timeout) until_ = detail::time_from_now(*timeout);
  }

  class Iterator {
   public:
    using value_type = AsyncResult<R>;
    using difference_type = std::ptrdiff_t;

    explicit Iterator(Completed* range = nullptr) : range_(range) {}
    AsyncResult<R>& operator*() const { return *range_->current_; }
    AsyncResult<R>* operator->() const { return &*range_->current_; }
    Iterator& operator++() {
      range_->advance();
      return *this;
    }
    void operator++(int) { ++*this; }
    bool operator==(std::default_sentinel_t) const { return !range_->current_; }

   private:
    Completed* range_;
  };

  Iterator begin() {
    if (!current_) advance();
    return Iterator(this);
  }
  [[nodiscard]] std::default_sentinel_t end() const { return {}; }

 private:
  void advance() {
    const std::size_t all = completions_->results().size();
    current_.reset();
    if (taken_ == all) return;
    if (completions_->wait(taken_ + 1, until_) == taken_)
      detail::throw_incomplete(taken_, all, *timeout_);
    const std::size_t next = (*completions_)[taken_++];
    current_ = detail::ResultAccess::result_of<R>(completions_->results()[next]);
  }

  std::unique_ptr<detail::Completions> completions_;
  std::optional<std::chrono::nanoseconds> timeout_;
  std::optional<detail::RunningCall::Time> until_;
  std::size_t taken_ = 0;
  std::optional<AsyncResult<R>> current_;
};

/// The results of the range as they come, each once. All of them must be there within `timeout`.
template <std::ranges::input_range Results, class R = detail::ValueOfRange<Results>>
Completed<R> as_completed(Results&& results,
                          std::optional<std::chrono::nanoseconds> timeout = std::nullopt) {
  return {detail::ResultAccess::states_of(results), timeout};
}

}  // namespace bulkhead
