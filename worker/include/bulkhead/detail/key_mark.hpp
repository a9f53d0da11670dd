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
#include <exception>
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
  static KeyMark of(std::string_view bytes) noexcept {
    KeyMark mark;
    mark.kind_ = kind_of<K>();
    mark.size_ = std::min(bytes.size(), mark.bytes_.size());
    mark.is_cut_ = mark.size_ != bytes.size();
    std::memcpy(mark.bytes_.data(), bytes.data(), mark.size_);
    return mark;
  }
  void clear() noexcept { kind_ = Kind::none; }
  static constexpr std::size_t kMostText = 256;
  /// `at the key "x"`, or nothing: how many bytes of `out`, which has room for kMostText, that
  /// took. Async-signal-safe.
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

/// While the user's function is called with the key. What is thrown by that finds the mark still.
class KeyScope {
 public:
  explicit KeyScope(const KeyMark& mark) { own_ = mark; }
  KeyScope(const KeyScope&) = delete;
  KeyScope& operator=(const KeyScope&) = delete;
  ~KeyScope() {
    if (std::uncaught_exceptions() == exceptions_) own_.clear();
  }

 private:
  KeyMark& own_ = KeyMark::own();
  const int exceptions_ = std::uncaught_exceptions();
};

}  // namespace bulkhead::detail
