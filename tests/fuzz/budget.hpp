// SPDX-License-Identifier: MIT
//
// Budget: memory that a piece of code may hold at a time, by operator new. What hostile bytes claim
// must not make the code that reads them ask for more than they could fill.
#pragma once

#include <cstddef>

namespace bulkhead::fuzz {

/// While it lives, whoever holds more than `bytes` beyond what was held at its beginning ends the
/// program. One at a time, one thread.
class Budget {
 public:
  explicit Budget(std::size_t bytes);
  Budget(const Budget&) = delete;
  Budget& operator=(const Budget&) = delete;
  ~Budget();
};

}  // namespace bulkhead::fuzz
