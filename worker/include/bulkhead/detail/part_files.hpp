// SPDX-License-Identifier: MIT
//
// Files of text that a keyed result is written to. Each has its name when it is complete.
#pragma once

#include <array>
#include <charconv>
#include <cstdint>
#include <ostream>
#include <sstream>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>

namespace bulkhead::detail {

class PartFile {
 public:
  /// Its folder comes to be, too. What is no regular file is written to as it is. Throws
  /// SystemError.
  explicit PartFile(const std::string& path);
  PartFile(const PartFile&) = delete;
  PartFile& operator=(const PartFile&) = delete;
  /// Leaves nothing behind if it was not finished.
  ~PartFile();

  /// What is appended to it is written now and then, and at the end.
  [[nodiscard]] std::string& text() { return text_; }
  /// Throws SystemError.
  void write_if_much() {
    if (text_.size() >= kMuch) write();
  }
  /// Gives it its name, in place of another file that has it. Throws SystemError.
  void finish();

 private:
  static constexpr std::size_t kMuch = std::size_t{256} << 10;

  void write();
  [[noreturn]] void refuse() const;

  std::string path_;
  std::string draft_;  ///< its name until then; empty: it has that already
  int fd_ = -1;
  std::string text_;
};

template <class T>
concept Printable = requires(std::ostream& out, const T& value) {
  out << value;
};
template <class T>
inline constexpr bool kIsTuple = false;
template <class... Parts>
inline constexpr bool kIsTuple<std::tuple<Parts...>> = true;
template <class A, class B>
inline constexpr bool kIsTuple<std::pair<A, B>> = true;

template <class T>
void append_text(const T& value, std::string& out) {
  if constexpr (std::is_convertible_v<const T&, std::string_view>) {
    out += std::string_view(value);
  } else if constexpr (std::is_arithmetic_v<T> && !std::is_same_v<T, bool> &&
                       !std::is_same_v<T, char>) {
    std::array<char, 64> text;
    const auto end = std::to_chars(text.data(), text.data() + text.size(), value).ptr;
    out.append(text.data(), end);
  } else if constexpr (kIsTuple<T>) {
    std::apply(
        [&out](const auto&... parts) {
          const char* before = "";
          ((out += std::exchange(before, "\t"), append_text(parts, out)), ...);
        },
        value);
  } else {
    static_assert(
        Printable<T>,
        "bulkhead: write() needs operator<<(std::ostream&, ...) for what is no number, no "
        "text and no std::pair or std::tuple of those");
    std::ostringstream stream;
    stream << value;
    out += stream.str();
  }
}
/// key, a tab, value, a line end.
template <class K, class V>
void append_line(const K& key, const V& value, std::string& out) {
  append_text(key, out);
  out += '\t';
  append_text(value, out);
  out += '\n';
}

}  // namespace bulkhead::detail
