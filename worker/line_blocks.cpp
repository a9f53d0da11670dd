// SPDX-License-Identifier: MIT
#include <bulkhead/detail/line_blocks.hpp>
#include <bulkhead/error.hpp>

#include <algorithm>
#include <cstring>
#include <span>
#include <string>

namespace bulkhead::detail {
namespace {

/// Small enough to stay in a CPU's cache until it has been gone through.
constexpr std::size_t kBlock = std::size_t{64} << 10;

}  // namespace

void refuse_long_line(const std::string& text, std::uint64_t longest,
                      std::optional<std::uint64_t> place) {
  throw Error("bulkhead: " + text + " has a line of more than " + std::to_string(longest) +
              " bytes" + (place ? " at byte " + std::to_string(*place) : "") +
              ": see TextOptions::longest_line");
}

void LineBlocks::open(const FilePiece& piece, const LineTerms& terms) {
  file_.open(piece);
  terms_ = terms;
  end_ = piece.end;
  offset_ = piece.begin == 0 ? 0 : piece.begin - 1;
  at_ = size_ = 0;
  over_ = piece.begin >= piece.end || (piece.begin != 0 && !find_first_line());
}

/// The line that begins behind the first line end from `offset_` on, if it is of this piece.
bool LineBlocks::find_first_line() {
  while (read_more()) {
    const char* const found =
        static_cast<const char*>(std::memchr(buffer_.data() + at_, terms_.delimiter, in_hand()));
    if (found == nullptr) {
      at_ = size_;
      if (offset_ >= end_) return false;
      continue;
    }
    at_ = static_cast<std::size_t>(found + 1 - buffer_.data());
    return offset_ - in_hand() < end_;
  }
  return false;
}

std::string_view LineBlocks::next() {
  while (!over_) {
    std::size_t size = whole_lines();
    if (size == 0 && !read_more()) {
      over_ = true;
      size = in_hand();  // a line without an end
    }
    if (size == 0) continue;
    const std::string_view lines(buffer_.data() + at_, size);
    at_ += size;
    return lines;
  }
  return {};
}

/// Bytes of the lines at hand that have an end, and begin in this piece.
std::size_t LineBlocks::whole_lines() {
  const char* const lines = buffer_.data() + at_;
  const std::size_t size = in_hand();
  const std::uint64_t begin = offset_ - size;
  const void* last = nullptr;
  if (offset_ >= end_ && size != 0) {
    // The line that reaches the end of the piece is the last one.
    const std::size_t from = end_ - 1 > begin ? static_cast<std::size_t>(end_ - 1 - begin) : 0;
    last = std::memchr(lines + from, terms_.delimiter, size - from);
    over_ = last != nullptr;
  }
  if (last == nullptr && size != 0) last = ::memrchr(lines, terms_.delimiter, size);
  return last == nullptr ? 0 : static_cast<std::size_t>(static_cast<const char*>(last) + 1 - lines);
}

bool LineBlocks::read_more() {
  const std::size_t left = in_hand();
  if (left > terms_.longest) refuse_long_line(file_.path(), terms_.longest, offset_ - left);
  if (buffer_.size() < left + kBlock / 2) buffer_.resize(std::max(kBlock, 2 * left));
  std::memmove(buffer_.data(), buffer_.data() + at_, left);
  at_ = 0;
  const std::size_t got = file_.read(offset_, std::span(buffer_).subspan(left));
  size_ = left + got;
  offset_ += got;
  return got != 0;
}

}  // namespace bulkhead::detail
