// SPDX-License-Identifier: MIT
#include <bulkhead/detail/private_memory.hpp>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <new>
#include <sys/mman.h>

namespace bulkhead::detail {
namespace {

constexpr std::size_t kHugePage = std::size_t{2} << 20;
/// Smaller areas are wiped by hand: that is faster than to have the kernel give them anew.
constexpr std::size_t kWipedByHand = std::size_t{256} << 20;

std::size_t whole_pages(std::size_t bytes) {
  return (bytes + kHugePage - 1) / kHugePage * kHugePage;
}

/// Where huge pages may begin: older kernels map at any page.
std::byte* map_aligned(std::size_t size) {
  void* const area = ::mmap(nullptr, size + kHugePage, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (area == MAP_FAILED) throw std::bad_alloc();
  auto* const first = static_cast<std::byte*>(area);
  const std::size_t before = -reinterpret_cast<std::uintptr_t>(first) % kHugePage;
  if (before != 0) ::munmap(first, before);
  ::munmap(first + before + size, kHugePage - before);
  return first + before;
}

}  // namespace

PrivateMemory::PrivateMemory(std::size_t bytes)
    : data_(map_aligned(whole_pages(bytes))), size_(whole_pages(bytes)) {
  ::madvise(data_, size_, MADV_HUGEPAGE);  // where it can be had
}

void PrivateMemory::grow(std::size_t bytes) {
  if (bytes <= size_) return;
  if (data_ == nullptr) {
    *this = PrivateMemory(bytes);
    return;
  }
  const std::size_t size = whole_pages(bytes);
  std::byte* const place = map_aligned(size);
  if (::mremap(data_, size_, size, MREMAP_MAYMOVE | MREMAP_FIXED, place) == MAP_FAILED) {
    ::munmap(place, size);
    throw std::bad_alloc();
  }
  data_ = place;
  size_ = size;
}

PrivateMemory::~PrivateMemory() {
  if (data_ != nullptr) ::munmap(data_, size_);
}

void PrivateMemory::wipe(std::size_t used, std::size_t kept) {
  if (used > kWipedByHand) return give_back(0);
  if (used > kept) give_back(kept);
  std::memset(data_, 0, std::min(used, whole_pages(kept)));
}

void PrivateMemory::give_back(std::size_t kept) {
  const std::size_t from = whole_pages(kept);
  if (from < size_) ::madvise(data_ + from, size_ - from, MADV_DONTNEED);
}

}  // namespace bulkhead::detail
