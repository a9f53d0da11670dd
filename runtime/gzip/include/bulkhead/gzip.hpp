// SPDX-License-Identifier: MIT
//
// gzip_text(): text() of files that gzip has compressed. For users of zlib, which they link.
#pragma once

#include <bulkhead/detail/compressed_input.hpp>
#include <bulkhead/error.hpp>
#include <bulkhead/inputs.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <limits>
#include <span>
#include <string>
#include <vector>
#include <zlib.h>

namespace bulkhead {
namespace detail {

struct GzipFormat {
  static constexpr const char* kFunction = "gzip_text";

  /// Nothing says where a member ends but its data.
  static std::uint64_t end_of_frame(const UnchangedFile&, std::uint64_t, std::uint64_t size) {
    return size;
  }

  class Stream {
   public:
    Stream() {
      constexpr int kGzipOnly = 16 + MAX_WBITS;
      if (::inflateInit2(&state_, kGzipOnly) != Z_OK) throw Error("zlib cannot begin");
    }
    Stream(const Stream&) = delete;
    Stream& operator=(const Stream&) = delete;
    ~Stream() { ::inflateEnd(&state_); }

    Step next(std::span<const char> in, std::span<char> out) {
      if (const std::size_t zeros = padding(in); zeros != 0) return {zeros, 0, true};
      const auto most = [](std::size_t size) {
        return static_cast<uInt>(std::min<std::size_t>(size, std::numeric_limits<uInt>::max()));
      };
      state_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(in.data()));
      state_.avail_in = most(in.size());
      state_.next_out = reinterpret_cast<Bytef*>(out.data());
      state_.avail_out = most(out.size());
      const int done = ::inflate(&state_, Z_NO_FLUSH);
      if (done != Z_OK && done != Z_STREAM_END && done != Z_BUF_ERROR)
        throw Error(state_.msg != nullptr ? state_.msg : "zlib refuses it");
      const Step step{most(in.size()) - state_.avail_in, most(out.size()) - state_.avail_out,
                      done == Z_STREAM_END};
      if (step.frame_ended) ::inflateReset(&state_);  // another member may follow
      has_ended_ = has_ended_ || step.frame_ended;
      return step;
    }

   private:
    /// Zeros behind a member, which fill up what was written in blocks, as on tapes.
    [[nodiscard]] std::size_t padding(std::span<const char> in) const {
      if (!has_ended_ || state_.total_in != 0) return 0;
      const auto is_zero = [](char byte) { return byte == '\0'; };
      return static_cast<std::size_t>(std::ranges::find_if_not(in, is_zero) - in.begin());
    }

    z_stream state_{};
    bool has_ended_ = false;  ///< a member
  };
};

}  // namespace detail

/// As text(), of files that gzip has compressed. A worker reads a whole file: compress large ones
/// in several, or with zstd.
[[nodiscard]] inline detail::CompressedInput<detail::GzipFormat> gzip_text(
    const std::string& pattern, TextOptions options = {}) {
  return {{pattern}, options};
}
/// Those of several patterns, one after the other.
[[nodiscard]] inline detail::CompressedInput<detail::GzipFormat> gzip_text(
    const std::vector<std::string>& patterns, TextOptions options = {}) {
  return {patterns, options};
}
[[nodiscard]] inline detail::CompressedInput<detail::GzipFormat> gzip_text(
    std::initializer_list<std::string> patterns, TextOptions options = {}) {
  return {std::vector<std::string>(patterns), options};
}

}  // namespace bulkhead
