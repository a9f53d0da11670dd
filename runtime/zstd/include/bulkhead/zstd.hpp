// SPDX-License-Identifier: MIT
//
// zstd_text(): text() of files that zstd has compressed; and zstd, for KeyedOptions::compress. For
// users of libzstd, which they link.
#pragma once

#include <bulkhead/compression.hpp>
#include <bulkhead/detail/compressed_input.hpp>
#include <bulkhead/error.hpp>
#include <bulkhead/inputs.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <vector>
#include <zstd.h>

namespace bulkhead {
namespace detail {

struct ZstdFormat {
  static constexpr const char* kFunction = "zstd_text";

  /// After RFC 8878, section 3.1.1.
  static std::uint64_t end_of_frame(const UnchangedFile& file, std::uint64_t at, std::uint64_t) {
    constexpr std::array<std::uint64_t, 4> kDictionaryBytes{0, 1, 2, 4};
    constexpr std::array<std::uint64_t, 4> kContentBytes{0, 2, 4, 8};
    constexpr std::uint64_t kMagic = 0xFD2F'B528;
    if (const auto end = end_of_skippable_frame(file, at)) return *end;
    if (number_at(file, at, 4) != kMagic) refuse_damaged(file.path(), at);
    const std::uint64_t descriptor = number_at(file, at + 4, 1);
    const bool single = (descriptor >> 5 & 1) != 0;
    const bool checksum = (descriptor >> 2 & 1) != 0;
    const std::uint64_t content = kContentBytes[descriptor >> 6];
    at += 5 + (single ? 0 : 1) + kDictionaryBytes[descriptor & 3] +
          (single && content == 0 ? 1 : content);
    for (bool last = false; !last;) {
      const std::uint64_t block = number_at(file, at, 3);
      last = (block & 1) != 0;
      const bool repeats_one_byte = (block >> 1 & 3) == 1;
      at += 3 + (repeats_one_byte ? 1 : block >> 3);
    }
    return at + (checksum ? 4 : 0);
  }

  class Stream {
   public:
    Stream() {
      if (!state_) throw Error("zstd cannot begin");
    }
    Step next(std::span<const char> in, std::span<char> out) {
      ZSTD_inBuffer from{in.data(), in.size(), 0};
      ZSTD_outBuffer to{out.data(), out.size(), 0};
      const std::size_t left = ::ZSTD_decompressStream(state_.get(), &to, &from);
      if (::ZSTD_isError(left) != 0) throw Error(::ZSTD_getErrorName(left));
      return {from.pos, to.pos, left == 0};
    }

   private:
    struct Free {
      void operator()(ZSTD_DStream* state) const { ::ZSTD_freeDStream(state); }
    };
    std::unique_ptr<ZSTD_DStream, Free> state_{::ZSTD_createDStream()};
  };
};

}  // namespace detail

/// Smaller than lz4, and slower.
[[nodiscard]] inline const Compression& zstd() {
  static constexpr Compression compression{
      [](std::span<const std::byte> from, std::span<std::byte> to) {
        const std::size_t size = ::ZSTD_compress(to.data(), to.size(), from.data(), from.size(), 1);
        return ::ZSTD_isError(size) != 0 ? 0 : size;
      },
      [](std::span<const std::byte> from, std::span<std::byte> to) {
        return ::ZSTD_decompress(to.data(), to.size(), from.data(), from.size()) == to.size();
      }};
  return compression;
}

/// As text(), of files that zstd has compressed. They are divided between frames: `zstd` makes one
/// for a file, pzstd many, and files that `cat` has put together have those of all. A worker reads
/// what is not divided. TextOptions::split is of compressed bytes.
[[nodiscard]] inline detail::CompressedInput<detail::ZstdFormat> zstd_text(
    const std::string& pattern, TextOptions options = {}) {
  return {{pattern}, options};
}
/// Those of several patterns, one after the other.
[[nodiscard]] inline detail::CompressedInput<detail::ZstdFormat> zstd_text(
    const std::vector<std::string>& patterns, TextOptions options = {}) {
  return {patterns, options};
}
[[nodiscard]] inline detail::CompressedInput<detail::ZstdFormat> zstd_text(
    std::initializer_list<std::string> patterns, TextOptions options = {}) {
  return {std::vector<std::string>(patterns), options};
}

}  // namespace bulkhead
