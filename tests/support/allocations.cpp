// SPDX-License-Identifier: MIT
#include "tests/support/allocations.hpp"

#include <atomic>
#include <cstdlib>
#include <new>

namespace {
std::atomic<std::uint64_t> count{0};
}

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define BULKHEAD_NEW_IS_THE_SANITIZERS
#endif
#endif

#ifndef BULKHEAD_NEW_IS_THE_SANITIZERS
void* operator new(std::size_t size) {
  count.fetch_add(1, std::memory_order_relaxed);
  if (void* memory = std::malloc(size != 0 ? size : 1)) return memory;
  throw std::bad_alloc();
}
void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  count.fetch_add(1, std::memory_order_relaxed);
  return std::malloc(size != 0 ? size : 1);
}
void operator delete(void* memory) noexcept {
  std::free(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
  std::free(memory);
}
#endif

namespace bulkhead::test {

std::uint64_t allocations() {
  return count.load(std::memory_order_relaxed);
}

}  // namespace bulkhead::test
