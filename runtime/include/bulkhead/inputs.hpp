// SPDX-License-Identifier: MIT
//
// Inputs of keyed jobs that are not ranges: text(), files() and records(). Workers read the files
// themselves; only names and positions travel.
#pragma once

#include <bulkhead/codec.hpp>
#include <bulkhead/detail/callable.hpp>
#include <bulkhead/detail/file_piece.hpp>
#include <bulkhead/detail/keyed_job.hpp>
#include <bulkhead/detail/line_blocks.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <iosfwd>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace bulkhead {

struct TextOptions {
  /// Bytes of a part of a file, or of a stream: what one worker does, and what a failure costs. A
  /// line that begins there is read to its end. Default: 1 MiB, and less of short texts.
  std::optional<std::uint64_t> split = std::nullopt;
  /// What ends a line. In the mapper lines() has to be told, too: lines(item, ';').
  char delimiter = '\n';
  /// A line of more bytes is an error: it would have to be in memory as a whole.
  std::uint64_t longest_line = std::uint64_t{64} << 20;
};

/// A file as a mapper gets it.
struct File {
  std::string_view path;
  std::uint64_t number = 0;  ///< in the order of names, from 0 on
  std::string_view text;     ///< all that is in it
};

namespace detail {

inline constexpr std::uint64_t kTextPart = std::uint64_t{1} << 20;

/// Throws InvalidArgument.
[[nodiscard]] TextOptions checked(const TextOptions& options);

struct TextReader {
  using Item = std::string_view;

  LineTerms terms{};
  LineBlocks blocks{};

  template <class Use>
  void read(TaskCall& task, Use use) {
    task.enter(TaskPhase::reading);
    const auto line_terms = task.argument.get<LineTerms>();
    blocks.open(Codec<FilePiece>::decode(task.argument), line_terms);
    task.enter(TaskPhase::running);
    for (;;) {
      const std::string_view lines = blocks.next();
      if (lines.empty()) return;
      use(lines);
    }
  }
};

/// Some text that comes with the task.
struct StringReader {
  using Item = std::string_view;

  template <class Use>
  void read(TaskCall& task, Use use) {
    task.enter(TaskPhase::decoding);
    const auto lines = Codec<std::string>::decode(task.argument);
    task.enter(TaskPhase::running);
    use(std::string_view(lines));
  }
};

struct FileReader {
  using Item = const File&;

  UnchangedFile file{};
  std::vector<char> text{};

  template <class Use>
  void read(TaskCall& task, Use use) {
    task.enter(TaskPhase::reading);
    const auto number = task.argument.get<std::uint64_t>();
    const auto piece = Codec<FilePiece>::decode(task.argument);
    file.open(piece);
    if (text.size() < piece.size) text.resize(static_cast<std::size_t>(piece.size));
    const std::span<char> all = std::span(text).first(static_cast<std::size_t>(piece.size));
    file.read_all(0, all);
    task.enter(TaskPhase::running);
    use(File{piece.path, number, {all.data(), all.size()}});
  }
};

struct RecordReader {
  using Item = std::string_view;

  UnchangedFile file{};
  std::vector<char> buffer{};

  template <class Use>
  void read(TaskCall& task, Use use) {
    task.enter(TaskPhase::reading);
    const auto bytes = static_cast<std::size_t>(task.argument.get<std::uint64_t>());
    const auto piece = Codec<FilePiece>::decode(task.argument);
    file.open(piece);
    const std::size_t at_once = std::max<std::size_t>(kBlock / bytes, 1) * bytes;
    if (buffer.size() < at_once) buffer.resize(at_once);
    task.enter(TaskPhase::running);
    for (std::uint64_t at = piece.begin; at < piece.end; at += at_once) {
      const std::span<char> some = std::span(buffer).first(
          static_cast<std::size_t>(std::min<std::uint64_t>(at_once, piece.end - at)));
      file.read_all(at, some);
      for (std::size_t i = 0; i < some.size(); i += bytes)
        use(std::string_view(some.data() + i, bytes));
    }
  }

 private:
  static constexpr std::size_t kBlock = std::size_t{256} << 10;
};

}  // namespace detail

/// See text().
class TextInput {
 public:
  using Reader = detail::TextReader;

  TextInput(const std::vector<std::string>& patterns, TextOptions options);
  [[nodiscard]] std::unique_ptr<detail::PieceSource> pieces() const;

 private:
  std::vector<detail::FilePiece> files_;
  TextOptions options_;
};
/// Text files, in the order of their names; `pattern` as for glob(7). A mapper gets some whole
/// lines of a file at a time, with their ends, as a std::string_view: see words() and lines().
/// Throws SystemError if there is no such file; InvalidArgument if there is something else.
[[nodiscard]] inline TextInput text(const std::string& pattern, TextOptions options = {}) {
  return {{pattern}, options};
}
/// Those of several patterns, one after the other.
[[nodiscard]] inline TextInput text(const std::vector<std::string>& patterns,
                                    TextOptions options = {}) {
  return {patterns, options};
}
[[nodiscard]] inline TextInput text(std::initializer_list<std::string> patterns,
                                    TextOptions options = {}) {
  return {std::vector<std::string>(patterns), options};
}

/// See text().
class StreamInput {
 public:
  using Reader = detail::StringReader;

  StreamInput(std::istream& stream, TextOptions options);
  [[nodiscard]] std::unique_ptr<detail::PieceSource> pieces() const;

 private:
  std::istream& stream_;
  TextOptions options_;
};
/// The text that a stream has: text(std::cin) is the standard input. It is read here, as it is
/// wanted, and sent to the workers. The stream must outlive the job. As above otherwise.
[[nodiscard]] inline StreamInput text(std::istream& stream, TextOptions options = {}) {
  return StreamInput(stream, options);
}

/// See files().
class FilesInput {
 public:
  using Reader = detail::FileReader;

  FilesInput(const std::vector<std::string>& patterns, std::uint64_t largest);
  [[nodiscard]] std::unique_ptr<detail::PieceSource> pieces() const;

 private:
  std::vector<detail::FilePiece> files_;
};
/// Files, in the order of their names, as for text(). A mapper gets one whole file at a time, as a
/// const File&. One of more than `largest` bytes is refused (InvalidArgument).
[[nodiscard]] inline FilesInput files(const std::string& pattern,
                                      std::uint64_t largest = std::uint64_t{256} << 20) {
  return {{pattern}, largest};
}
/// Those of several patterns, one after the other.
[[nodiscard]] inline FilesInput files(const std::vector<std::string>& patterns,
                                      std::uint64_t largest = std::uint64_t{256} << 20) {
  return {patterns, largest};
}
[[nodiscard]] inline FilesInput files(std::initializer_list<std::string> patterns,
                                      std::uint64_t largest = std::uint64_t{256} << 20) {
  return {std::vector<std::string>(patterns), largest};
}

/// See records().
class RecordsInput {
 public:
  using Reader = detail::RecordReader;

  RecordsInput(const std::vector<std::string>& patterns, std::uint64_t bytes);
  [[nodiscard]] std::unique_ptr<detail::PieceSource> pieces() const;

 private:
  std::vector<detail::FilePiece> files_;
  std::uint64_t bytes_;
};
/// Files, as for text(), of records that have so many bytes each. A mapper gets one record at a
/// time, as a std::string_view. A file with a part of one is refused (InvalidArgument).
[[nodiscard]] inline RecordsInput records(const std::string& pattern, std::uint64_t bytes) {
  return {{pattern}, bytes};
}
/// Those of several patterns, one after the other.
[[nodiscard]] inline RecordsInput records(const std::vector<std::string>& patterns,
                                          std::uint64_t bytes) {
  return {patterns, bytes};
}
[[nodiscard]] inline RecordsInput records(std::initializer_list<std::string> patterns,
                                          std::uint64_t bytes) {
  return {std::vector<std::string>(patterns), bytes};
}

}  // namespace bulkhead
