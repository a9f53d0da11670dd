// SPDX-License-Identifier: MIT
//
// Outcome<R>: how one task ended, a value or a Failure. What try_map returns for each element.
#pragma once

#include <bulkhead/error.hpp>
#include <bulkhead/failure.hpp>
#include <bulkhead/task_output.hpp>

#include <memory>
#include <type_traits>
#include <utility>
#include <variant>

namespace bulkhead {

/// A value or a failure, never both and never neither. Outcome<void> has a success without a value.
template <class R>
class [[nodiscard]] Outcome {
  using Value = std::conditional_t<std::is_void_v<R>, std::monostate, R>;

 public:
  Outcome(Value value) : state_(std::in_place_index<0>, std::move(value)) {}  // NOLINT: implicit
  Outcome(Failure failure) : state_(std::in_place_index<1>, std::move(failure)) {}  // NOLINT

  /// True if the task gave a value.
  [[nodiscard]] bool has_value() const noexcept { return state_.index() == 0; }
  explicit operator bool() const noexcept { return has_value(); }

  /// The value. Throws the failure (see Failure::raise) if there is none.
  std::add_lvalue_reference_t<R> value() & {
    require_value();
    if constexpr (!std::is_void_v<R>) return *std::get_if<0>(&state_);
  }
  std::add_lvalue_reference_t<std::add_const_t<R>> value() const& {
    require_value();
    if constexpr (!std::is_void_v<R>) return *std::get_if<0>(&state_);
  }
  R value() && {
    require_value();
    if constexpr (!std::is_void_v<R>) return std::move(*std::get_if<0>(&state_));
  }
  std::add_lvalue_reference_t<R> operator*() & { return value(); }
  std::add_lvalue_reference_t<std::add_const_t<R>> operator*() const& { return value(); }
  R operator*() && { return std::move(*this).value(); }
  const Value* operator->() const { return &std::as_const(*this).value(); }
  Value* operator->() { return &value(); }

  /// The value, or `fallback` if the task failed.
  template <class U>
  Value value_or(U&& fallback) const& {
    return has_value() ? *std::get_if<0>(&state_) : static_cast<Value>(std::forward<U>(fallback));
  }

  /// The failure. Throws Error if there is a value.
  [[nodiscard]] const Failure& failure() const {
    if (has_value()) throw Error("bulkhead: failure() of a task that succeeded; ask has_value()");
    return *std::get_if<1>(&state_);
  }

  /// What the task has written, where the pool captures that (Options::output); else empty.
  [[nodiscard]] const TaskOutput& output() const {
    return has_value() ? detail::or_nothing(output_.get()) : failure().output();
  }
  /// For the library: says what output() is to say of a value.
  void attach(std::shared_ptr<const TaskOutput> output) { output_ = std::move(output); }

 private:
  void require_value() const {
    if (!has_value()) failure().raise();
  }

  std::variant<Value, Failure> state_;
  std::shared_ptr<const TaskOutput> output_;
};

}  // namespace bulkhead
