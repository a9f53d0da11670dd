// SPDX-License-Identifier: MIT
//
// What map() and apply() throw when a task failed. Each thrown object is a RemoteError and at the
// same time a standard exception, so all of these catch the out_of_range that task 4 threw:
//
//   catch (const std::out_of_range& e)       // as if the call had been local
//   catch (const bulkhead::RemoteError& e)   // e.failure().task() == 4
//   catch (const std::exception& e)          // e.what() tells it all in one sentence
#pragma once

#include <bulkhead/failure.hpp>

#include <new>
#include <stdexcept>
#include <utility>

namespace bulkhead {

/// The part that all failures have in common. Not itself derived from std::exception: the thrown
/// object has exactly one such base, the standard type it stands for.
class RemoteError {
 public:
  explicit RemoteError(Failure failure) : failure_(std::move(failure)) {}
  RemoteError(const RemoteError&) = default;
  RemoteError& operator=(const RemoteError&) = default;
  virtual ~RemoteError() = default;

  [[nodiscard]] const Failure& failure() const noexcept { return failure_; }
  /// The same sentence as failure().what().
  [[nodiscard]] virtual const char* what() const noexcept { return failure_.what().c_str(); }

 private:
  Failure failure_;
};

/// Raised when the worker ended before it answered.
class CrashError : public std::runtime_error, public RemoteError {
 public:
  explicit CrashError(const Failure& failure);
  [[nodiscard]] const char* what() const noexcept override { return RemoteError::what(); }
};

/// Raised when the task ran longer than it may.
class TimeoutError : public std::runtime_error, public RemoteError {
 public:
  explicit TimeoutError(const Failure& failure);
  [[nodiscard]] const char* what() const noexcept override { return RemoteError::what(); }
};

/// Raised when memory did not suffice.
class OutOfMemoryError : public std::bad_alloc, public RemoteError {
 public:
  explicit OutOfMemoryError(const Failure& failure);
  [[nodiscard]] const char* what() const noexcept override { return RemoteError::what(); }
};

/// Raised when the task was taken back, or never begun.
class CancelledError : public std::runtime_error, public RemoteError {
 public:
  explicit CancelledError(const Failure& failure);
  [[nodiscard]] const char* what() const noexcept override { return RemoteError::what(); }
};

}  // namespace bulkhead
