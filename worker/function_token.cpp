// SPDX-License-Identifier: MIT
#include "worker/module.hpp"
#include <bulkhead/detail/function_token.hpp>
#include <bulkhead/error.hpp>

namespace bulkhead::detail {

FunctionToken::FunctionToken(const void* function) {
  const auto token = ModuleMap::present().token(function);
  if (!token) throw Error("bulkhead: the function to be sent is not code of a loaded module");
  build_ = token->build;
  offset_ = token->offset;
}

const void* FunctionToken::address() const {
  const void* function = ModuleMap::present().resolve({build_, offset_});
  if (function == nullptr) {
    throw Error(
        "the function is in a module that this worker does not have; it was loaded after the pool "
        "began");
  }
  return function;
}

}  // namespace bulkhead::detail
