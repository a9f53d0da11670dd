// SPDX-License-Identifier: MIT
#pragma once

#include <bulkhead/bytes.hpp>
#include <bulkhead/codec.hpp>

#include <array>
#include <cstddef>

namespace bulkhead::detail {

/// Counts bytes, and keeps none.
class ByteCounter final : public ByteWriter {
 public:
  ByteCounter() { begin(); }
  [[nodiscard]] std::size_t size() const {
    return before_ + static_cast<std::size_t>(at_ - some_.data());
  }

 private:
  void write_slow(const std::byte*, std::size_t bytes) override {
    before_ = size() + bytes;
    begin();
  }
  void begin() {
    at_ = some_.data();
    end_ = at_ + some_.size();
  }

  std::array<std::byte, 256> some_;
  std::size_t before_ = 0;
};

/// Bytes that the value travels as.
template <class V>
std::size_t encoded_size(const V& value) {
  ByteCounter counter;
  Codec<V>::encode(value, counter);
  return counter.size();
}

}  // namespace bulkhead::detail
