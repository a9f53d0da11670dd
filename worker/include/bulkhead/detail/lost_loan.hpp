// SPDX-License-Identifier: MIT
#pragma once

#include <bulkhead/error.hpp>

namespace bulkhead::detail {

/// A worker's answer refers to memory that the worker does not hold any more: it has ended, or a
/// task has closed its descriptors.
class LostLoan : public DecodeError {
 public:
  using DecodeError::DecodeError;
};

}  // namespace bulkhead::detail
