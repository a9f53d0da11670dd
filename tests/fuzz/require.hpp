// SPDX-License-Identifier: MIT
#pragma once

#include <cstdio>
#include <cstdlib>

namespace bulkhead::fuzz {

/// Ends the program if `holds` is false: the fuzzer keeps the input, and a replay fails.
inline void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "not so: %s\n", what);
  std::abort();
}

}  // namespace bulkhead::fuzz
