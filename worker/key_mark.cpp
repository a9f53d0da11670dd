// SPDX-License-Identifier: MIT
#include <bulkhead/detail/key_mark.hpp>

#include <charconv>

namespace bulkhead::detail {
namespace {

thread_local constinit KeyMark own_mark;

/// A number of so many bytes.
std::int64_t number_of(const char* bytes, std::size_t size, bool is_signed) {
  std::uint64_t number = 0;
  std::memcpy(&number, bytes, size);
  const std::size_t shift = 64 - 8 * size;
  const auto shifted = static_cast<std::int64_t>(size == 0 ? 0 : number << shift);
  return is_signed ? shifted >> shift : static_cast<std::int64_t>(number);
}

}  // namespace

KeyMark& KeyMark::own() {
  return own_mark;
}

std::size_t KeyMark::describe(std::span<char> out) const noexcept {
  constexpr std::string_view kBegin = "at the key ";
  constexpr std::string_view kCut = "...";
  if (kind_ == Kind::none || out.size() < kBegin.size() + bytes_.size() + 2 + kCut.size()) return 0;
  char* at = std::copy(kBegin.begin(), kBegin.end(), out.data());
  if (kind_ == Kind::text) {
    *at++ = '"';
    at = std::copy_n(bytes_.data(), size_, at);
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
  std::array<char, 128> text;
  const std::size_t size = describe(text);
  clear();
  return size == 0 ? "" : "; " + std::string(text.data(), size);
}

}  // namespace bulkhead::detail
