// SPDX-License-Identifier: MIT
//
// A pipe from a worker to us, or from us to ourselves.
#pragma once

#include "worker/descriptor.hpp"

namespace bulkhead::detail {

struct Pipe {
  /// Throws SystemError.
  Pipe();

  Descriptor read_end;  ///< who reads does not wait
  Descriptor write_end;
};

}  // namespace bulkhead::detail
