// SPDX-License-Identifier: MIT
//
// Much memory of this process alone, in huge pages where there are any: zeroed, and taken from the
// system only as far as it is touched.
#pragma once

#include <cstddef>
#include <utility>

namespace bulkhead::detail {

class PrivateMemory {
 public:
  PrivateMemory() = default;
  /// Throws std::bad_alloc.
  explicit PrivateMemory(std::size_t bytes);
  PrivateMemory(PrivateMemory&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
  PrivateMemory& operator=(PrivateMemory&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
  }
  ~PrivateMemory();

  [[nodiscard]] std::byte* data() const { return data_; }
  [[nodiscard]] std::size_t size() const { return size_; }
  /// As large as that, at least; what is in it stays, perhaps elsewhere. Throws std::bad_alloc.
  void grow(std::size_t bytes);
  /// Its first `used` bytes are zero again, and what is behind the first `kept` goes back to the
  /// system until it is touched again.
  void wipe(std::size_t used, std::size_t kept);
  /// The latter alone.
  void give_back(std::size_t kept);

 private:
  std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace bulkhead::detail
