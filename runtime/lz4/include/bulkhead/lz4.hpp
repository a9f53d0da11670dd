// SPDX-License-Identifier: MIT
//
// lz4_text(): text() of files that lz4 has compressed; and lz4, for KeyedOptions::compress. For
// users of liblz4, which they link.
#pragma once

#include <bulkhead/compression.hpp>
#include <bulkhead/detail/compressed_input.hpp>
#include <bulkhead/error.hpp>
#include <bulkhead/inputs.hpp>

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <lz4.h>
#include <lz4frame.h>
#include <span>
#include <string>
#include <vector>

namespace bulkhead {
namespace detail {

struct Lz4Format {
  static constexpr const char* kFunction = "lz4_text";

  /// After the description of LZ4 frames, version 1.6.
  static std::uint64_t end_of_frame(const UnchangedFile& file, std::uint64_t at, std::uint64_t) {
    constexpr std::uint64_t kMagic = 0x184D'2204;
    constexpr std::uint64_t kUncompressed = std::uint64_t{1} << 31;
    if (const auto end = end_of_skippable_frame(file, at)) return *end;
    if (number_at(file, at, 4) != kMagic) refuse_damaged(file.path(), at);
    const std::uint64_t flags = number_at(file, at + 4, 1);
    const auto has = [flags](int bit) { return (flags >> bit & 1) != 0; };
    const bool dictionary = has(0);
    const bool checksum = has(2);
    const bool content_size = has(3);
    const bool block_checksums = has(4);
    at += 6 + (content_size ? 8 : 0) + (dictionary ? 4 : 0) + 1;
    for (;;) {
      const std::uint64_t size = number_at(file, at, 4) & ~kUncompressed;
      at += 4;
      if (size == 0) return at + (checksum ? 4 : 0);
      at += size + (block_checksums ? 4 : 0);
    }
  }

  class Stream {
   public:
    Stream() {
      if (::LZ4F_isError(::LZ4F_createDecompressionContext(&state_, LZ4F_VERSION)) != 0)
        throw Error("lz4 cannot begin");
    }
    Stream(const Stream&) = delete;
    Stream& operator=(const Stream&) = delete;
    ~Stream() { ::LZ4F_freeDecompressionContext(state_); }

    Step next(std::span<const char> in, std::span<char> out) {
      std::size_t taken = in.size();
      std::size_t given = out.size();
      const std::size_t left =
          ::LZ4F_decompress(state_, out.data(), &given, in.data(), &taken, nullptr);
      if (::LZ4F_isError(left) != 0) throw Error(::LZ4F_getErrorName(left));
      return {taken, given, left == 0};
    }

   private:
    LZ4F_dctx* state_ = nullptr;
  };
};

}  // namespace detail

/// Fast.
[[nodiscard]] inline const Compression& lz4() {
  static constexpr Compression compression{
      [](std::span<const std::byte> from, std::span<std::byte> to) {
        const int size = ::LZ4_compress_default(
            reinterpret_cast<const char*>(from.data()), reinterpret_cast<char*>(to.data()),
            static_cast<int>(from.size()), static_cast<int>(to.size()));
        return static_cast<std::size_t>(size > 0 ? size : 0);
      },
      [](std::span<const std::byte> from, std::span<std::byte> to) {
        const int size = ::LZ4_decompress_safe(
            reinterpret_cast<const char*>(from.data()), reinterpret_cast<char*>(to.data()),
            static_cast<int>(from.size()), static_cast<int>(to.size()));
        return size >= 0 && static_cast<std::size_t>(size) == to.size();
      }};
  return compression;
}

/// As text(), of files that lz4 has compressed. They are divided between frames: `lz4` makes one
/// for a file, and files that `cat` has put together have those of all. A worker reads what is not
/// divided. TextOptions::split is of compressed bytes.
[[nodiscard]] inline detail::CompressedInput<detail::Lz4Format> lz4_text(const std::string& pattern,
                                                                         TextOptions options = {}) {
  return {{pattern}, options};
}
/// Those of several patterns, one after the other.
[[nodiscard]] inline detail::CompressedInput<detail::Lz4Format> lz4_text(
    const std::vector<std::string>& patterns, TextOptions options = {}) {
  return {patterns, options};
}
[[nodiscard]] inline detail::CompressedInput<detail::Lz4Format> lz4_text(
    std::initializer_list<std::string> patterns, TextOptions options = {}) {
  return {std::vector<std::string>(patterns), options};
}

}  // namespace bulkhead
