// SPDX-License-Identifier: MIT
//
// Input: the bytes that a fuzzer has made up, taken bit by bit as what a target needs. Where they
// have ended there are zeros. And what each target is to the fuzzer, or to replay.cpp.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <type_traits>

/// One input of the target. Aborts if it shows a fault.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace bulkhead::fuzz {

class Input {
 public:
  Input(const std::uint8_t* data, std::size_t size) : left_(std::as_bytes(std::span(data, size))) {}

  [[nodiscard]] bool empty() const { return left_.empty(); }
  /// What has not been taken.
  [[nodiscard]] std::span<const std::byte> rest() const { return left_; }

  /// At most `size` bytes; fewer at the end.
  std::span<const std::byte> bytes(std::size_t size) {
    const auto taken = left_.first(std::min(size, left_.size()));
    left_ = left_.subspan(taken.size());
    return taken;
  }
  template <class T>
    requires std::is_integral_v<T> T number() {
      T value = 0;
      const auto taken = bytes(sizeof value);
      if (!taken.empty()) std::memcpy(&value, taken.data(), taken.size());
      return value;
    }
  /// One of 0, 1, ... `count` - 1, at the cost of a byte; `count` is at most 256.
  std::size_t choice(std::size_t count) { return number<std::uint8_t>() % count; }
  bool coin() { return choice(2) == 1; }

 private:
  std::span<const std::byte> left_;
};

}  // namespace bulkhead::fuzz
