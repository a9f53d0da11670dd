// SPDX-License-Identifier: MIT
//
// Errors that are thrown before any task runs: the caller's mistakes and failed set-ups.
// How a task ended is never told by these; see failure.hpp and remote_error.hpp.
#pragma once

#include <stdexcept>
#include <string>

namespace bulkhead {

/// Base of all errors that are not the outcome of a task. `what()` says what went wrong, with which
/// value, and what to do about it.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// An argument of the caller cannot be used: a worker count of 0, a ring too small.
class InvalidArgument : public Error {
 public:
  using Error::Error;
};

/// The pool cannot take this call: it was closed or terminated, or belongs to another process.
class PoolClosed : public Error {
 public:
  using Error::Error;
};

/// The pool has no worker left and may not start another: the initializer keeps failing, the system
/// refuses to fork. `what()` carries the last cause.
class BrokenPool : public Error {
 public:
  using Error::Error;
};

/// A result is not there yet: the time that get() was given is over, or nobody has waited at all.
/// The call goes on.
class NotReady : public Error {
 public:
  using Error::Error;
};

/// The system refused something that a pool needs: descriptors, memory, processes.
class SystemError : public Error {
 public:
  /// `what` names the step; the text of `error_number` is appended.
  SystemError(const std::string& what, int error_number);
  /// The errno value of the refused call.
  [[nodiscard]] int error_number() const noexcept { return error_number_; }

 private:
  int error_number_;
};

/// Bytes that cannot be the encoding of the wanted type.
class DecodeError : public Error {
 public:
  using Error::Error;
};

}  // namespace bulkhead
