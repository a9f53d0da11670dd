// SPDX-License-Identifier: MIT
#include "serialization/demangle.hpp"
#include <bulkhead/detail/exception_record.hpp>
#include <bulkhead/error.hpp>
#include <bulkhead/remote_error.hpp>

#include <algorithm>
#include <cxxabi.h>
#include <exception>
#include <functional>
#include <new>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <typeinfo>
#include <variant>

namespace bulkhead::detail {
namespace {

std::string name_of(const std::type_info& type) {
  return demangled(type.name());
}

template <class T>
bool is(const std::exception& error) {
  return dynamic_cast<const T*>(&error) != nullptr;
}

StandardType logic_type_of(const std::exception& error) {
  if (is<std::invalid_argument>(error)) return StandardType::invalid_argument;
  if (is<std::domain_error>(error)) return StandardType::domain_error;
  if (is<std::length_error>(error)) return StandardType::length_error;
  if (is<std::out_of_range>(error)) return StandardType::out_of_range;
  return StandardType::logic_error;
}

StandardType runtime_type_of(const std::exception& error) {
  if (is<std::system_error>(error)) return StandardType::system_error;
  if (is<std::range_error>(error)) return StandardType::range_error;
  if (is<std::overflow_error>(error)) return StandardType::overflow_error;
  if (is<std::underflow_error>(error)) return StandardType::underflow_error;
  return StandardType::runtime_error;
}

StandardType standard_type_of(const std::exception& error) {
  if (is<std::logic_error>(error)) return logic_type_of(error);
  if (is<std::runtime_error>(error)) return runtime_type_of(error);
  if (is<std::bad_alloc>(error)) return StandardType::bad_alloc;
  if (is<std::bad_cast>(error)) return StandardType::bad_cast;
  if (is<std::bad_typeid>(error)) return StandardType::bad_typeid;
  if (is<std::bad_function_call>(error)) return StandardType::bad_function_call;
  if (is<std::bad_optional_access>(error)) return StandardType::bad_optional_access;
  if (is<std::bad_variant_access>(error)) return StandardType::bad_variant_access;
  if (is<std::bad_weak_ptr>(error)) return StandardType::bad_weak_ptr;
  return StandardType::exception;
}

std::string bounded(std::string_view text) {
  if (text.size() <= kMaxMessageBytes) return std::string(text);
  return std::string(text.substr(0, kMaxMessageBytes)) + " [cut; " + std::to_string(text.size()) +
         " bytes in all]";
}

/// what() of a user's class may be null.
std::string words_of(const std::exception& error) {
  const char* words = error.what();
  return bounded(words == nullptr ? "" : words);
}

void describe_nested(const std::exception& error, std::vector<std::string>& chain) {
  const auto* nested = dynamic_cast<const std::nested_exception*>(&error);
  if (nested == nullptr || !nested->nested_ptr() || chain.size() >= kMaxNestedExceptions) return;
  try {
    nested->rethrow_nested();
  } catch (const std::exception& inner) {
    chain.push_back(name_of(typeid(inner)) + ": " + words_of(inner));
    describe_nested(inner, chain);
  } catch (...) {
    chain.emplace_back("an exception that is not a std::exception");
  }
}

void describe_standard(const std::exception& error, FailureDetails& details) {
  details.standard_type = standard_type_of(error);
  details.type_name = name_of(typeid(error));
  const auto* remote = dynamic_cast<const RemoteError*>(&error);
  if (remote != nullptr && remote->failure().kind() == FailureKind::exception) {
    details.type_name = remote->failure().type_name();  // of a task of the task's own pool
  }
  details.message = words_of(error);
  if (const auto* system = dynamic_cast<const std::system_error*>(&error)) {
    details.category = system->code().category().name();
    details.error_value = system->code().value();
  }
  describe_nested(error, details.nested);
}

void write_text(const std::string& text, ByteWriter& out) {
  out.put(static_cast<std::uint32_t>(text.size()));
  out.write(text.data(), text.size());
}

std::string read_text(ByteReader& in) {
  const auto size = in.get<std::uint32_t>();
  in.expect(size, 1);
  std::string text(size, '\0');
  in.read(text.data(), size);
  return text;
}

}  // namespace

FailureDetails describe_current_exception() {
  FailureDetails details;
  details.kind = FailureKind::exception;
  try {
    throw;
  } catch (const std::exception& error) {
    describe_standard(error, details);
  } catch (const std::string& text) {
    details.message = bounded(text);
  } catch (const char* text) {
    details.message = bounded(text == nullptr ? "null" : text);
  } catch (int value) {
    details.message = std::to_string(value);
  } catch (...) {
    details.message = "not a std::exception";
  }
  if (details.type_name.empty()) {
    const std::type_info* type = abi::__cxa_current_exception_type();
    details.type_name = type != nullptr ? name_of(*type) : "unknown type";
  }
  return details;
}

void encode_exception(const FailureDetails& details, ByteWriter& out) {
  out.put(details.standard_type);
  write_text(details.type_name, out);
  write_text(details.message, out);
  write_text(details.category, out);
  out.put(static_cast<std::int32_t>(details.error_value));
  out.put(details.kind == FailureKind::out_of_memory);
  out.put(details.task);
  out.put(static_cast<std::uint32_t>(details.nested.size()));
  for (const std::string& text : details.nested) write_text(text, out);
}

FailureDetails decode_exception(ByteReader& in) {
  FailureDetails details;
  const auto type = in.get<std::uint8_t>();
  if (type > static_cast<std::uint8_t>(StandardType::bad_weak_ptr)) {
    throw DecodeError("no such exception type: " + std::to_string(type));
  }
  details.standard_type = static_cast<StandardType>(type);
  details.type_name = read_text(in);
  details.message = read_text(in);
  details.category = read_text(in);
  details.error_value = in.get<std::int32_t>();
  const bool is_shortage = in.get<std::uint8_t>() != 0;
  details.kind = is_shortage ? FailureKind::out_of_memory : FailureKind::exception;
  details.task = in.get<std::uint64_t>();
  const auto nested = in.get<std::uint32_t>();
  if (nested > kMaxNestedExceptions) throw DecodeError("too many nested exceptions");
  for (std::uint32_t i = 0; i < nested; ++i) details.nested.push_back(read_text(in));
  return details;
}

}  // namespace bulkhead::detail
