// SPDX-License-Identifier: MIT
#include "worker/rebuilt.hpp"

#include <bulkhead/detail/exception_record.hpp>
#include <bulkhead/error.hpp>

#include <cstdint>

namespace bulkhead::detail {
namespace {

const void* resolve(const ModuleMap& modules, ModuleToken token) {
  const void* address = modules.resolve(token);
  if (address == nullptr) {
    throw Error(
        "the function is in a module that this worker does not have; it was loaded after the "
        "pool began");
  }
  return address;
}

}  // namespace

void rebuild(const ModuleMap& modules, ByteReader& definition, Rebuilt& to) {
  const void* describe = resolve(modules, definition.get<ModuleToken>());
  const auto function = definition.get<ModuleToken>();
  to.terms.limit = std::chrono::nanoseconds(definition.get<std::int64_t>());
  to.terms.seed = definition.get<std::uint64_t>();
  to.terms.numbered = definition.get<std::uint64_t>() != 0;
  const Callable& callable = reinterpret_cast<Describe>(const_cast<void*>(describe))();
  to.object = callable.make(function.build != 0 ? resolve(modules, function) : nullptr, definition);
  to.callable = &callable;
}

std::string why_not_rebuilt() {
  const FailureDetails why = describe_current_exception();
  return "the callable could not be rebuilt in the worker: " + why.type_name + ": " + why.message;
}

const char* to_string(TaskPhase phase) {
  switch (phase) {
    case TaskPhase::decoding:
      return "while decoding the argument: ";
    case TaskPhase::reading:
      return "while reading the input: ";
    case TaskPhase::encoding:
      return "while encoding the result: ";
    case TaskPhase::running:
      break;
  }
  return "";
}

}  // namespace bulkhead::detail
