// SPDX-License-Identifier: MIT
//
// KeyArena: the bytes of keys that are longer than a slot of a table has room for, each behind
// their number.
#pragma once

#include <bulkhead/detail/private_memory.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <utility>

namespace bulkhead::detail {

class KeyArena {
 public:
  static constexpr std::uint64_t kNoRoom = ~std::uint64_t{0};

  /// Takes so many bytes at the most, a huge page at least, and keeps no more when it is cleared.
  explicit KeyArena(std::size_t most) : most_(std::max(most, kLeast)), kept_(most_) {}
  void limit(std::size_t most) { most_ = std::max(most, kLeast); }

  /// Bytes of the longest key that has room in so many.
  static std::size_t longest(std::size_t most) {
    return (std::max(most, kLeast) - kBeside) / kBeside * kBeside;
  }
  [[nodiscard]] bool has_room(std::size_t size) const { return used_ + taken_by(size) <= most_; }
  /// Where the key lies from now on, or kNoRoom.
  std::uint64_t put(std::string_view key) {
    if (!has_room(key.size())) return kNoRoom;
    const std::uint64_t size = key.size();
    const std::size_t all = taken_by(key.size());
    if (used_ + all > memory_.size())
      memory_.grow(std::clamp(2 * memory_.size(), used_ + all, most_));
    std::memcpy(memory_.data() + used_, &size, sizeof size);
    std::memcpy(memory_.data() + used_ + sizeof size, key.data(), key.size());
    touched_ = std::max(touched_, used_ + all);
    return std::exchange(used_, used_ + all);
  }
  [[nodiscard]] std::string_view at(std::uint64_t offset) const {
    std::uint64_t size = 0;
    std::memcpy(&size, memory_.data() + offset, sizeof size);
    return {reinterpret_cast<const char*>(memory_.data() + offset + sizeof size),
            static_cast<std::size_t>(size)};
  }
  void clear() {
    used_ = 0;
    if (touched_ > kept_) memory_.give_back(kept_);
    touched_ = std::min(touched_, kept_);
  }
  [[nodiscard]] std::size_t bytes() const { return used_; }
  /// Of the system's memory: some stays when it is cleared.
  [[nodiscard]] std::size_t touched() const { return touched_; }

 private:
  static constexpr std::size_t kLeast = std::size_t{2} << 20;
  static constexpr std::size_t kBeside = sizeof(std::uint64_t);  ///< each key; for its number

  static std::size_t taken_by(std::size_t size) {
    return kBeside + (size + kBeside - 1) / kBeside * kBeside;
  }

  std::size_t most_;
  std::size_t kept_;
  PrivateMemory memory_;
  std::size_t used_ = 0;
  std::size_t touched_ = 0;
};
/// Where there are no such keys.
struct NoKeyArena {
  explicit NoKeyArena(std::size_t) {}
  void clear() {}
  [[nodiscard]] static std::size_t bytes() { return 0; }
};

}  // namespace bulkhead::detail
