// SPDX-License-Identifier: MIT
//
// Failure: how and why a task ended without a value. A small immutable handle; copies share the
// text.
#pragma once

#include <bulkhead/task_output.hpp>

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace bulkhead {

enum class FailureKind : std::uint8_t {
  exception,      ///< the function, or encoding or decoding a value, threw; the worker lives on
  crashed,        ///< the worker ended before it answered: a signal, or an exit with any code
  timed_out,      ///< the task ran longer than it may
  out_of_memory,  ///< a memory limit or the system's memory did not suffice
  cancelled,      ///< taken back because the call failed, or because the pool was terminated
  not_run,        ///< never begun: the pool broke first
};

/// The name of a kind as it stands in messages: "exception", "crashed", ...
[[nodiscard]] const char* to_string(FailureKind kind) noexcept;

class Failure;

namespace detail {

/// The standard exception type as which a task's exception is thrown again at the caller.
enum class StandardType : std::uint8_t {
  none,  ///< not derived from std::exception; thrown again as std::runtime_error
  exception,
  logic_error,
  invalid_argument,
  domain_error,
  length_error,
  out_of_range,
  runtime_error,
  range_error,
  overflow_error,
  underflow_error,
  system_error,
  bad_alloc,
  bad_cast,
  bad_typeid,
  bad_function_call,
  bad_optional_access,
  bad_variant_access,
  bad_weak_ptr,
};

/// What is known of a failure. Fields that do not apply keep their defaults.
struct FailureDetails {
  FailureKind kind = FailureKind::not_run;
  std::uint64_t task = 0;  ///< index of the element in its call
  int attempt = 1;
  int worker_pid = 0;      ///< 0: no worker was involved
  bool is_inline = false;  ///< it was run in the caller's process
  std::string message;
  // exception
  StandardType standard_type = StandardType::none;
  std::string type_name;  ///< demangled dynamic type
  std::string category;   ///< of a system_error: "generic", "system", or another's name
  int error_value = 0;    ///< of a system_error
  std::vector<std::string> nested;
  // crashed
  int signal = 0;      ///< 0: it exited
  int exit_code = -1;  ///< -1: it was killed
  std::vector<std::string> backtrace;

  std::vector<Failure> earlier;              ///< of the same task, in order
  std::shared_ptr<const TaskOutput> output;  ///< null: nothing was captured
  std::string replay_file;                   ///< empty: it was not saved
  std::string not_saved;                     ///< why not, if it should have been

  std::string what;  ///< the sentence made of all this; written by Failure
};

}  // namespace detail

/// How a task failed. Thread-safe to read and copy.
class Failure {
 public:
  explicit Failure(detail::FailureDetails details);

  [[nodiscard]] FailureKind kind() const noexcept { return details_->kind; }
  /// One sentence with all that matters: "task 4 crashed: SIGSEGV at address 0x0 in parse(Header&)
  /// at parse.cpp:31, worker pid 812, attempt 1".
  [[nodiscard]] const std::string& what() const noexcept { return details_->what; }
  /// The cause alone: what() of the exception, or the signal with its place.
  [[nodiscard]] const std::string& message() const noexcept { return details_->message; }
  /// Index of the element in its call; 0 for apply.
  [[nodiscard]] std::uint64_t task() const noexcept { return details_->task; }
  /// Which try this was; the first is 1.
  [[nodiscard]] int attempt() const noexcept { return details_->attempt; }
  /// How the attempts before this one failed, in order.
  [[nodiscard]] const std::vector<Failure>& earlier() const noexcept { return details_->earlier; }
  /// The worker process that ran the task; 0 if none did, or if it was run inline.
  [[nodiscard]] int worker_pid() const noexcept { return details_->worker_pid; }
  /// The signal that ended the worker; 0 if none did.
  [[nodiscard]] int signal() const noexcept { return details_->signal; }
  /// The exit code of the worker, -1 if it did not exit by itself.
  [[nodiscard]] int exit_code() const noexcept { return details_->exit_code; }
  /// Demangled dynamic type of the exception; empty for other kinds.
  [[nodiscard]] const std::string& type_name() const noexcept { return details_->type_name; }
  /// Texts of the exceptions nested in this one (std::throw_with_nested), outermost first.
  [[nodiscard]] const std::vector<std::string>& nested() const noexcept { return details_->nested; }
  /// The stack of a crash, innermost first, one line a frame; may be empty.
  [[nodiscard]] const std::vector<std::string>& backtrace() const noexcept {
    return details_->backtrace;
  }

  /// What the task has written, where the pool captures that (Options::output); else empty.
  [[nodiscard]] const TaskOutput& output() const noexcept {
    return detail::or_nothing(details_->output.get());
  }
  /// The file that bulkhead::replay() (replay.hpp) can run the task from again; empty if it was not
  /// saved: see Options::replay_dir.
  [[nodiscard]] const std::string& replay_file() const noexcept { return details_->replay_file; }

  /// Throws this failure as a RemoteError (remote_error.hpp) and, where there is one, as the
  /// standard exception type that the task threw.
  [[noreturn]] void raise() const;

 private:
  std::shared_ptr<const detail::FailureDetails> details_;
};

}  // namespace bulkhead
