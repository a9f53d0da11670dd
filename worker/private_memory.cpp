// SPDX-License-Identifier: MIT
#include <bulkhead/detail/private_memory.hpp>

#include <cstring>
#include <new>
#include <sys/mman.h>

namespace bulkhead::detail {
namespace {

constexpr std::size_t kHugePage = std::size_t{2} << 20;
/// Smaller areas are wiped by hand: that is faster than to have the kernel give them anew.
constexpr std::size_t kWipedByHand = std::size_t{256} << 20;

}  // namespace

PrivateMemory::PrivateMemory(std::size_t bytes)
    : size_((bytes + kHugePage - 1) / kHugePage * kHugePage) {
  void* const area = ::mmap(nullptr, size_, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (area == MAP_FAILED) throw std::bad_alloc();
  data_ = static_cast<std::byte*>(area);
  ::madvise(area, size_, MADV_HUGEPAGE);  // where it can be had
}

PrivateMemory::~PrivateMemory() {
  if (data_ != nullptr) ::munmap(data_, size_);
}

void PrivateMemory::wipe(std::size_t bytes) {
  if (bytes <= kWipedByHand) {
    std::memset(data_, 0, bytes);
  } else {
    ::madvise(data_, size_, MADV_DONTNEED);
  }
}

}  // namespace bulkhead::detail
