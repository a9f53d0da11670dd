// SPDX-License-Identifier: MIT
//
// A part of a text file as the input of one task: the lines that start in it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace bulkhead::detail {

struct TextPiece {
  std::string path{};
  std::uint64_t begin = 0;
  std::uint64_t end = 0;        ///< of its bytes: the last line may reach beyond
  std::uint64_t size = 0;       ///< of the file, as it was when the job began
  std::int64_t changed_at = 0;  ///< nanoseconds since 1970, likewise

  template <class Archive>
  void serialize(Archive& archive) {
    archive(path, begin, end, size, changed_at);
  }
};

/// All of a file. Throws SystemError; InvalidArgument if it is no regular file.
[[nodiscard]] TextPiece whole_file(const std::string& path);

/// Reads whole lines, some hundred KiB at a time, into memory of its own.
class LineBlocks {
 public:
  LineBlocks(const LineBlocks&) = delete;
  LineBlocks& operator=(const LineBlocks&) = delete;
  LineBlocks() = default;
  ~LineBlocks();

  /// Begins with another piece. Throws SystemError; and Error if the file has changed.
  void open(const TextPiece& piece);
  /// The next lines, with their ends; empty: there are no more. Valid until the next call.
  std::string_view next();

 private:
  bool find_first_line();
  std::size_t whole_lines();
  /// Reads behind what there is; false at the end of the file.
  bool read_more();
  [[nodiscard]] std::size_t in_hand() const { return size_ - at_; }

  int fd_ = -1;
  std::string path_;
  std::uint64_t end_ = 0;     ///< lines that start there or behind are others'
  std::uint64_t offset_ = 0;  ///< in the file, of what is read next
  bool over_ = true;
  std::vector<char> buffer_;
  std::size_t at_ = 0;  ///< in the buffer: what has not been handed out
  std::size_t size_ = 0;
};

}  // namespace bulkhead::detail
