// SPDX-License-Identifier: MIT
#include "worker/module.hpp"
#include <bulkhead/detail/callable.hpp>
#include <bulkhead/error.hpp>

#include <cstdint>
#include <optional>

namespace bulkhead::detail {

namespace {

/// The modules as they are, looked at anew when some have come or gone.
const ModuleMap& present_modules() {
  thread_local ModuleMap modules;
  thread_local std::optional<std::uint64_t> seen;
  const std::uint64_t now = ModuleMap::generation();
  if (seen != now) modules = ModuleMap::snapshot();
  seen = now;
  return modules;
}

}  // namespace

FunctionToken::FunctionToken(const void* function) {
  const auto token = present_modules().token(function);
  if (!token) throw Error("bulkhead: the function to be sent is not code of a loaded module");
  build_ = token->build;
  offset_ = token->offset;
}

const void* FunctionToken::address() const {
  const void* function = present_modules().resolve({build_, offset_});
  if (function == nullptr) {
    throw Error(
        "the function is in a module that this worker does not have; it was loaded after the pool "
        "began");
  }
  return function;
}

}  // namespace bulkhead::detail
