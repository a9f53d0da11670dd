// SPDX-License-Identifier: MIT
//
// KeyMark: which key a task is at, in the second phase of a keyed job, for whoever tells how it
// failed. A copy, as the key may be gone by then.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>

namespace bulkhead::detail {

class KeyMark {
 public:
  /// Of the task of this thread.
  [[nodiscard]] static KeyMark& own();

  template <class K>
  void set(std::string_view bytes) noexcept {
    kind_ = kind_of<K>();
    size_ = std::min(bytes.size(), bytes_.size());
    is_cut_ = size_ != bytes.size();
    std::memcpy(bytes_.data(), bytes.data(), size_);
  }
  void clear() noexcept { kind_ = Kind::none; }
  /// `at the key "x"`, or nothing: how many bytes of `out` that took. Async-signal-safe.
  std::size_t describe(std::span<char> out) const noexcept;
  /// The same, once, with a semicolon in front.
  [[nodiscard]] std::string take();

 private:
  enum class Kind : std::uint8_t { none, text, number, positive };

  template <class K>
  static constexpr Kind kind_of() {
    if constexpr (std::is_same_v<K, std::string>) {
      return Kind::text;
    } else if constexpr (std::is_integral_v<K> && sizeof(K) <= sizeof(std::int64_t)) {
      return std::is_signed_v<K> ? Kind::number : Kind::positive;
    } else {
      return Kind::none;  // nothing that people could read
    }
  }

  Kind kind_ = Kind::none;
  bool is_cut_ = false;
  std::size_t size_ = 0;
  std::array<char, 48> bytes_{};
};

}  // namespace bulkhead::detail
