// SPDX-License-Identifier: MIT
//
// LineBlocks: the lines that begin in a part of a text file.
#pragma once

#include <bulkhead/detail/file_piece.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace bulkhead::detail {

/// What is to be known of a text to divide it into lines.
struct LineTerms {
  char delimiter = '\n';
  std::uint64_t longest = 0;  ///< bytes
};

/// `place`: byte of what is read where it begins, if that is known.
[[noreturn]] void refuse_long_line(const std::string& text, std::uint64_t longest,
                                   std::optional<std::uint64_t> place);

/// Reads whole lines, some hundred KiB at a time, into memory of its own.
class LineBlocks {
 public:
  /// Begins with another piece: the last line may reach beyond it. Throws SystemError; and Error if
  /// the file has changed.
  void open(const FilePiece& piece, const LineTerms& terms);
  /// The next lines, with their ends; empty: there are no more. Valid until the next call. Throws
  /// SystemError; and Error if a line is too long.
  std::string_view next();

 private:
  bool find_first_line();
  std::size_t whole_lines();
  /// Reads behind what there is; false at the end of the file.
  bool read_more();
  [[nodiscard]] std::size_t in_hand() const { return size_ - at_; }

  UnchangedFile file_;
  LineTerms terms_;
  std::uint64_t end_ = 0;     ///< lines that start there or behind are others'
  std::uint64_t offset_ = 0;  ///< in the file, of what is read next
  bool over_ = true;
  std::vector<char> buffer_;
  std::size_t at_ = 0;  ///< in the buffer: what has not been handed out
  std::size_t size_ = 0;
};

}  // namespace bulkhead::detail
