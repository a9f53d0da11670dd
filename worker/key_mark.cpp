// SPDX-License-Identifier: MIT
#include <bulkhead/detail/key_mark.hpp>

#include <charconv>

namespace bulkhead::detail {
namespace {

thread_local constinit KeyMark own_mark;

/// A number of so many bytes, of which there is one at least.
std::int64_t number_of(const char* bytes, std::size_t size, bool is_signed) {
  std::uint64_t number = 0;
  std::memcpy(&number, bytes, size);
  const std::size_t shift = 64 - 8 * size;
  const auto shifted = static_cast<std::int64_t>(number << shift);
  return is_signed ? shifted >> shift : static_cast<std::int64_t>(number);
}

/// As people can read it.
char* put_byte(char byte, char* at) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  const auto code = static_cast<unsigned char>(byte);
  if (code >= 0x20 && code != 0x7F) {
    *at++ = byte;
    return at;
  }
  *at++ = '\\';
  *at++ = 'x';
  *at++ = kDigits[code >> 4];
  *at++ = kDigits[code & 15];
  return at;
}

/// Of the text, without the rest of a character of UTF-8 that was cut.
std::size_t whole_characters(std::string_view text) {
  std::size_t size = text.size();
  const auto byte = [text](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  while (size != 0 && (byte(size - 1) & 0xC0) == 0x80) --size;
  return size != 0 && byte(size - 1) >= 0xC0 ? size - 1 : text.size();
}

}  // namespace

KeyMark& KeyMark::own() {
  return own_mark;
}

std::size_t KeyMark::describe(std::span<char> out) const noexcept {
  constexpr std::string_view kBegin = "at the key ";
  constexpr std::string_view kCut = "...";
  if (kind_ == Kind::none || out.size() < kMostText) return 0;
  char* at = std::copy(kBegin.begin(), kBegin.end(), out.data());
  if (kind_ == Kind::text) {
    const std::size_t size = is_cut_ ? whole_characters({bytes_.data(), size_}) : size_;
    *at++ = '"';
    for (std::size_t i = 0; i != size; ++i) at = put_byte(bytes_[i], at);
    if (is_cut_) at = std::copy(kCut.begin(), kCut.end(), at);
    *at++ = '"';
  } else {
    const std::int64_t number = number_of(bytes_.data(), size_, kind_ == Kind::number);
    char* const end = out.data() + out.size();
    at = kind_ == Kind::number ? std::to_chars(at, end, number).ptr
                               : std::to_chars(at, end, static_cast<std::uint64_t>(number)).ptr;
  }
  return static_cast<std::size_t>(at - out.data());
}

std::string KeyMark::take() {
  std::array<char, kMostText> text;
  const std::size_t size = describe(text);
  clear();
  return size == 0 ? "" : "; " + std::string(text.data(), size);
}

}  // namespace bulkhead::detail
