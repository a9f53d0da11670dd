// SPDX-License-Identifier: MIT
//
// Gather: where results go, each to the place of its element, in whatever order they come.
//   Values<R>    for map: the values, and the failure of the lowest index
//   One<R>       for apply: the only value, or its failure
//   Outcomes<R>  for try_map: a value or a failure for every element
// All offer place(), fail() and take(); one thread at a time.
#pragma once

#include <bulkhead/error.hpp>
#include <bulkhead/failure.hpp>
#include <bulkhead/outcome.hpp>

#include <cstdint>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

namespace bulkhead::detail {

/// Stands for the value of a task that returns void.
struct Nothing {};

template <class R>
using Placed = std::conditional_t<std::is_void_v<R>, Nothing, R>;

/// A failure with the kind and reason for which the call was given up.
inline Failure given_up_failure(const FailureDetails& reason, std::uint64_t task) {
  FailureDetails details = reason;
  details.task = task;
  return Failure(std::move(details));
}

/// What a call throws that was given up: BrokenPool if the pool broke, else the cancellation.
[[noreturn]] inline void raise_given_up(const FailureDetails& reason, std::uint64_t task = 0) {
  if (reason.kind == FailureKind::not_run) throw BrokenPool(reason.message);
  given_up_failure(reason, task).raise();
}

/// The values, stored as what map() returns where that can be done at once.
template <class R>
class ValueStore {
 public:
  void expect(std::uint64_t count) { values_.reserve(count); }
  void place(std::uint64_t index, R value) {
    if (index >= values_.size()) values_.resize(index + 1);
    values_[index].emplace(std::move(value));
  }
  std::vector<R> take(std::uint64_t known) {
    std::vector<R> result;
    result.reserve(known);
    for (std::optional<R>& value : values_) result.push_back(std::move(*value));
    return result;
  }

 private:
  std::vector<std::optional<R>> values_;
};

template <class R>
  requires std::is_default_constructible_v<R> && std::is_move_assignable_v<R>
class ValueStore<R> {
 public:
  void expect(std::uint64_t count) { values_.resize(count); }
  void place(std::uint64_t index, R value) {
    if (index >= values_.size()) [[unlikely]]
      values_.resize(index + 1);
    values_[index] = std::move(value);
  }
  /// The range may have had fewer elements than it said.
  std::vector<R> take(std::uint64_t known) {
    values_.resize(known);
    return std::move(values_);
  }

 private:
  std::vector<R> values_;
};

template <>
class ValueStore<Nothing> {
 public:
  void expect(std::uint64_t) {}
  void place(std::uint64_t, Nothing) {}
  void take(std::uint64_t) {}
};

template <class R>
class Values {
 public:
  static constexpr bool kStopsAtFailure = true;
  using Result = std::conditional_t<std::is_void_v<R>, void, std::vector<Placed<R>>>;

  void expect(std::uint64_t count) { store_.expect(count); }
  void place(std::uint64_t index, Placed<R> value) { store_.place(index, std::move(value)); }
  void fail(std::uint64_t index, Failure failure) {
    if (lowest_ && lowest_->task() <= index) return;
    lowest_.emplace(std::move(failure));
  }
  void attach(std::uint64_t, std::shared_ptr<const TaskOutput>) {}
  /// All values, in order. Throws the failure of the lowest index if there is one; BrokenPool if
  /// the pool broke; the cancellation if it was terminated.
  Result take(std::uint64_t known, const FailureDetails* given_up) {
    if (given_up != nullptr) raise_given_up(*given_up);
    if (lowest_) lowest_->raise();
    return store_.take(known);
  }

 private:
  ValueStore<Placed<R>> store_;
  std::optional<Failure> lowest_;
};

/// For apply: the one value, or the failure.
template <class R>
class One {
 public:
  static constexpr bool kStopsAtFailure = true;
  using Result = R;

  void expect(std::uint64_t) {}
  void place(std::uint64_t, Placed<R> value) { value_.emplace(std::move(value)); }
  void fail(std::uint64_t, Failure failure) { failure_.emplace(std::move(failure)); }
  void attach(std::uint64_t, std::shared_ptr<const TaskOutput>) {}
  /// See Values.
  Result take(std::uint64_t, const FailureDetails* given_up) {
    if (given_up != nullptr) raise_given_up(*given_up);
    if (failure_) failure_->raise();
    if constexpr (!std::is_void_v<R>) return std::move(*value_);
  }

 private:
  std::optional<Placed<R>> value_;
  std::optional<Failure> failure_;
};

template <class R>
class Outcomes {
 public:
  static constexpr bool kStopsAtFailure = false;
  using Result = std::vector<Outcome<R>>;

  void expect(std::uint64_t count) {
    outcomes_.reserve(count);
    resize(count);
  }
  void place(std::uint64_t index, Placed<R> value) {
    if constexpr (std::is_void_v<R>) {
      put(index, std::monostate{});
    } else {
      put(index, std::move(value));
    }
    ++placed_;
  }
  void fail(std::uint64_t index, Failure failure) {
    put(index, std::move(failure));
    ++placed_;
  }
  void attach(std::uint64_t index, std::shared_ptr<const TaskOutput> output) {
    outcomes_[index].attach(std::move(output));
  }
  /// One outcome per element. Throws BrokenPool if the pool broke before any task had ended.
  Result take(std::uint64_t known, const FailureDetails* given_up) {
    if (given_up != nullptr && given_up->kind == FailureKind::not_run && placed_ == 0) {
      throw BrokenPool(given_up->message);
    }
    resize(known);
    for (std::uint64_t index = 0; given_up != nullptr && index < known; ++index) {
      if (is_open(outcomes_[index])) put(index, given_up_failure(*given_up, index));
    }
    return std::move(outcomes_);
  }

 private:
  // Not by assignment: values may have none.
  template <class T>
  void put(std::uint64_t index, T&& ending) {
    if (index >= outcomes_.size()) resize(index + 1);
    std::destroy_at(&outcomes_[index]);
    std::construct_at(&outcomes_[index], std::forward<T>(ending));
  }
  // Not resize(count, value): results may be move-only.
  void resize(std::uint64_t count) {
    while (outcomes_.size() > count) outcomes_.pop_back();
    while (outcomes_.size() < count) outcomes_.emplace_back(open_);
  }
  bool is_open(const Outcome<R>& outcome) const {
    return !outcome && &outcome.failure().what() == &open_.what();
  }

  const Failure open_ = Failure(FailureDetails{});  ///< stands for an outcome that has not come
  std::vector<Outcome<R>> outcomes_;
  std::uint64_t placed_ = 0;
};

}  // namespace bulkhead::detail
