// SPDX-License-Identifier: MIT
#include <bulkhead/detail/heap_meter.hpp>

#include <malloc.h>

namespace bulkhead::detail {

std::size_t heap_in_use() {
  const struct mallinfo2 all = ::mallinfo2();
  return all.uordblks + all.hblkhd;
}

}  // namespace bulkhead::detail
