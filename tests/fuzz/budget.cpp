// SPDX-License-Identifier: MIT
#include "tests/fuzz/budget.hpp"

#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <malloc.h>
#include <new>

namespace {

constexpr std::int64_t kNoLimit = std::numeric_limits<std::int64_t>::max();

std::atomic<std::int64_t> held{0};  // what was held before the program counted is not in it
std::atomic<std::int64_t> limit{kNoLimit};

std::int64_t size_of(void* memory) {
  return static_cast<std::int64_t>(::malloc_usable_size(memory));
}

void check(std::size_t size) {
  const std::int64_t most = limit.load(std::memory_order_relaxed);
  const std::int64_t free = most - held.load(std::memory_order_relaxed);
  if (most == kNoLimit || (free >= 0 && size <= static_cast<std::uint64_t>(free))) return;
  limit = kNoLimit;  // what reports this allocates, too
  std::fprintf(stderr, "not so: memory stays within its budget: %zu bytes were asked for\n", size);
  std::abort();
}

void* take(std::size_t size) noexcept {
  check(size);
  void* memory = std::malloc(size != 0 ? size : 1);
  if (memory != nullptr) held.fetch_add(size_of(memory), std::memory_order_relaxed);
  return memory;
}

void give_back(void* memory) noexcept {
  if (memory != nullptr) held.fetch_sub(size_of(memory), std::memory_order_relaxed);
  std::free(memory);
}

}  // namespace

void* operator new(std::size_t size) {
  if (void* memory = take(size)) return memory;
  throw std::bad_alloc();
}
void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  return take(size);
}
void operator delete(void* memory) noexcept {
  give_back(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
  give_back(memory);
}
void operator delete(void* memory, const std::nothrow_t&) noexcept {
  give_back(memory);
}

namespace bulkhead::fuzz {

Budget::Budget(std::size_t bytes) {
  limit = held + static_cast<std::int64_t>(bytes);
}
Budget::~Budget() {
  limit = kNoLimit;
}

}  // namespace bulkhead::fuzz
