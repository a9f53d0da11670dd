// SPDX-License-Identifier: MIT
#include <bulkhead/error.hpp>
#include <bulkhead/failure.hpp>
#include <bulkhead/remote_error.hpp>

#include <cerrno>
#include <functional>
#include <ios>
#include <optional>
#include <system_error>
#include <typeinfo>
#include <variant>

namespace bulkhead {
namespace {

using detail::FailureDetails;
using detail::StandardType;

std::string sentence(const FailureDetails& details) {
  std::string text = "task " + std::to_string(details.task);
  switch (details.kind) {
    case FailureKind::exception:
      text += " threw " + details.type_name;
      break;
    case FailureKind::crashed:
      text += " crashed";
      break;
    case FailureKind::timed_out:
      text += " timed out";
      break;
    case FailureKind::out_of_memory:
      text += " ran out of memory";
      break;
    case FailureKind::cancelled:
      text += " was cancelled";
      break;
    case FailureKind::not_run:
      text += " was not run";
      break;
  }
  if (!details.message.empty()) text += ": " + details.message;
  for (const std::string& nested : details.nested) text += "; caused by " + nested;
  if (details.worker_pid == 0 && !details.is_inline) return text;
  text += details.is_inline ? ", inline" : ", worker pid " + std::to_string(details.worker_pid);
  text += ", attempt " + std::to_string(details.attempt);
  for (const Failure& earlier : details.earlier) {
    text += "; attempt " + std::to_string(earlier.attempt()) + ": ";
    text += earlier.message() == details.message ? "the same" : earlier.message();
  }
  if (!details.replay_file.empty()) text += "; saved as " + details.replay_file;
  if (!details.not_saved.empty()) text += "; not saved: " + details.not_saved;
  return text;
}

/// A standard exception of type Base that is also a RemoteError.
template <class Base>
class Remote final : public Base, public RemoteError {
 public:
  template <class... Args>
  explicit Remote(const Failure& failure, const Args&... args)
      : Base(args...), RemoteError(failure) {}
  [[nodiscard]] const char* what() const noexcept override { return RemoteError::what(); }
};

/// A category of the user's own exists only in name here: its errors arrive as std::runtime_error.
[[noreturn]] void raise_system_error(const Failure& failure, const FailureDetails& details) {
  const std::error_category* category = nullptr;
  if (details.category == std::generic_category().name()) category = &std::generic_category();
  if (details.category == std::system_category().name()) category = &std::system_category();
  if (details.category == std::iostream_category().name()) category = &std::iostream_category();
  if (category == nullptr) throw Remote<std::runtime_error>(failure, failure.what());
  throw Remote<std::system_error>(failure, std::error_code(details.error_value, *category),
                                  failure.what());
}

template <class Base>
[[noreturn]] void raise_with_text(const Failure& failure) {
  throw Remote<Base>(failure, failure.what());
}

template <class Base>
[[noreturn]] void raise_plain(const Failure& failure) {
  throw Remote<Base>(failure);
}

[[noreturn]] void raise_exception(const Failure& failure, const FailureDetails& details) {
  switch (details.standard_type) {
    case StandardType::logic_error:
      raise_with_text<std::logic_error>(failure);
    case StandardType::invalid_argument:
      raise_with_text<std::invalid_argument>(failure);
    case StandardType::domain_error:
      raise_with_text<std::domain_error>(failure);
    case StandardType::length_error:
      raise_with_text<std::length_error>(failure);
    case StandardType::out_of_range:
      raise_with_text<std::out_of_range>(failure);
    case StandardType::range_error:
      raise_with_text<std::range_error>(failure);
    case StandardType::overflow_error:
      raise_with_text<std::overflow_error>(failure);
    case StandardType::underflow_error:
      raise_with_text<std::underflow_error>(failure);
    case StandardType::system_error:
      raise_system_error(failure, details);
    case StandardType::exception:
      raise_plain<std::exception>(failure);
    case StandardType::bad_alloc:
      raise_plain<std::bad_alloc>(failure);
    case StandardType::bad_cast:
      raise_plain<std::bad_cast>(failure);
    case StandardType::bad_typeid:
      raise_plain<std::bad_typeid>(failure);
    case StandardType::bad_function_call:
      raise_plain<std::bad_function_call>(failure);
    case StandardType::bad_optional_access:
      raise_plain<std::bad_optional_access>(failure);
    case StandardType::bad_variant_access:
      raise_plain<std::bad_variant_access>(failure);
    case StandardType::bad_weak_ptr:
      raise_plain<std::bad_weak_ptr>(failure);
    case StandardType::none:
    case StandardType::runtime_error:
      break;
  }
  raise_with_text<std::runtime_error>(failure);
}

}  // namespace

namespace {

const char* advice(int error_number) {
  switch (error_number) {
    case EMFILE:
      return "; raise the limit (ulimit -n), or hold fewer Broadcasts, Pools and files";
    case ENFILE:
      return "; the whole system has too many open";
    default:
      return "";
  }
}

}  // namespace

SystemError::SystemError(const std::string& what, int error_number)
    : Error(what + ": " + std::generic_category().message(error_number) + advice(error_number)),
      error_number_(error_number) {}

const char* to_string(FailureKind kind) noexcept {
  switch (kind) {
    case FailureKind::exception:
      return "exception";
    case FailureKind::crashed:
      return "crashed";
    case FailureKind::timed_out:
      return "timed out";
    case FailureKind::out_of_memory:
      return "out of memory";
    case FailureKind::cancelled:
      return "cancelled";
    case FailureKind::not_run:
      return "not run";
  }
  return "unknown";
}

Failure::Failure(FailureDetails details) {
  details.what = sentence(details);
  details_ = std::make_shared<const FailureDetails>(std::move(details));
}

void Failure::raise() const {
  switch (kind()) {
    case FailureKind::exception:
      raise_exception(*this, *details_);
    case FailureKind::crashed:
      throw CrashError(*this);
    case FailureKind::timed_out:
      throw TimeoutError(*this);
    case FailureKind::out_of_memory:
      throw OutOfMemoryError(*this);
    case FailureKind::cancelled:
    case FailureKind::not_run:
      break;
  }
  throw CancelledError(*this);
}

CrashError::CrashError(const Failure& failure)
    : std::runtime_error(failure.what()), RemoteError(failure) {}
TimeoutError::TimeoutError(const Failure& failure)
    : std::runtime_error(failure.what()), RemoteError(failure) {}
OutOfMemoryError::OutOfMemoryError(const Failure& failure) : RemoteError(failure) {}
CancelledError::CancelledError(const Failure& failure)
    : std::runtime_error(failure.what()), RemoteError(failure) {}

}  // namespace bulkhead
