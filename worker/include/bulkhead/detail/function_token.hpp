// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

namespace bulkhead::detail {

/// A plain function inside the state of a callable, in a form that another process can check.
class FunctionToken {
 public:
  /// No function.
  FunctionToken() = default;
  /// Throws Error if `function` is not code of a loaded module.
  explicit FunctionToken(const void* function);
  [[nodiscard]] bool is_none() const { return build_ == 0 && offset_ == 0; }
  /// The function in this process. Throws Error if its module is not loaded here.
  [[nodiscard]] const void* address() const;

  template <class Archive>
  void serialize(Archive& archive) {
    archive(build_, offset_);
  }

 private:
  std::uint64_t build_ = 0;
  std::uint64_t offset_ = 0;
};

}  // namespace bulkhead::detail
