// SPDX-License-Identifier: MIT
//
// Compressed texts as inputs of keyed jobs, whatever they are compressed by. A format says where a
// frame ends, if files can be divided there, and has a Stream:
//
//   Step next(std::span<const char> in, std::span<char> out);
//
// which throws Error if the data are damaged.
#pragma once

#include <bulkhead/codec.hpp>
#include <bulkhead/detail/callable.hpp>
#include <bulkhead/detail/file_piece.hpp>
#include <bulkhead/detail/keyed_job.hpp>
#include <bulkhead/detail/line_blocks.hpp>
#include <bulkhead/error.hpp>
#include <bulkhead/inputs.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace bulkhead::detail {

/// What a stream has done: so many bytes taken and given, and whether a frame has ended behind
/// them.
struct Step {
  std::size_t taken = 0;
  std::size_t given = 0;
  bool frame_ended = false;
};

[[noreturn]] inline void refuse_damaged(const std::string& path, std::uint64_t offset) {
  throw Error("bulkhead: " + path + " is damaged, or compressed in another way, at byte " +
              std::to_string(offset));
}
/// A number of so many bytes, the lowest first. Throws Error if the file ends there.
inline std::uint64_t number_at(const UnchangedFile& file, std::uint64_t offset, std::size_t bytes) {
  unsigned char data[8]{};
  if (file.read(offset, {reinterpret_cast<char*>(data), bytes}) != bytes)
    refuse_damaged(file.path(), offset);
  std::uint64_t number = 0;
  for (std::size_t i = bytes; i != 0; --i) number = number << 8 | data[i - 1];
  return number;
}
/// Where a frame ends that is no data, if that is what is there: zstd and lz4 have such.
inline std::optional<std::uint64_t> end_of_skippable_frame(const UnchangedFile& file,
                                                           std::uint64_t offset) {
  constexpr std::uint64_t kSkippable = 0x184D'2A50;
  if ((number_at(file, offset, 4) & ~std::uint64_t{15}) != kSkippable) return std::nullopt;
  return offset + 8 + number_at(file, offset + 4, 4);
}

/// The lines that begin in some frames of a file: behind a line end in them, or at the beginning of
/// the file. The last one may reach into the frames behind.
template <class Format>
class CompressedLines {
 public:
  void open(const FilePiece& piece, const LineTerms& terms) {
    file_.open(piece);
    terms_ = terms;
    end_ = piece.end;
    offset_ = piece.begin;
    stream_.emplace();
    in_at_ = in_size_ = at_ = size_ = 0;
    skips_ = piece.begin != 0;
    over_ = piece.begin == piece.end;
    ends_here_ = is_behind_ = is_within_ = false;
  }
  /// The next lines, with their ends; empty: there are no more. Valid until the next call. Throws
  /// SystemError; and Error if the file is damaged or has changed, or a line is too long.
  std::string_view next() {
    while (!over_) {
      const std::size_t size = skips_ ? skip_line() : whole_lines();
      if (size != 0) return take(size);
      if (std::exchange(ends_here_, false)) {
        over_ = skips_;
        is_behind_ = true;
      } else if (!read_more()) {
        over_ = true;
        return skips_ ? std::string_view() : take(size_ - at_);  // a line without an end
      }
    }
    return {};
  }

 private:
  static constexpr std::size_t kIn = std::size_t{64} << 10;
  static constexpr std::size_t kOut = std::size_t{256} << 10;

  std::string_view take(std::size_t size) {
    const std::string_view lines(out_.data() + at_, size);
    at_ += size;
    return lines;
  }
  /// The one that began before.
  std::size_t skip_line() {
    const char* const begin = out_.data() + at_;
    const void* const found =
        size_ == at_ ? nullptr : std::memchr(begin, terms_.delimiter, size_ - at_);
    at_ = found == nullptr
              ? size_
              : static_cast<std::size_t>(static_cast<const char*>(found) + 1 - out_.data());
    skips_ = found == nullptr;
    return skips_ ? 0 : whole_lines();
  }
  /// Bytes of those at hand that have an end, and begin here.
  std::size_t whole_lines() {
    if (size_ == at_) return 0;
    const char* const begin = out_.data() + at_;
    const std::size_t size = size_ - at_;
    const void* const last = is_behind_ ? std::memchr(begin, terms_.delimiter, size)
                                        : ::memrchr(begin, terms_.delimiter, size);
    if (last == nullptr) return 0;
    over_ = is_behind_;
    return static_cast<std::size_t>(static_cast<const char*>(last) + 1 - begin);
  }
  /// Some more, but for what is in another frame than that which ends the piece. False: that was
  /// all.
  bool read_more() {
    make_room();
    for (;;) {
      if (in_at_ == in_size_) {
        in_.resize(kIn);
        in_size_ = file_.read(offset_, in_);
        in_at_ = 0;
        if (in_size_ == 0) {
          if (!is_within_) return false;
          throw Error("bulkhead: " + file_.path() + " is damaged: it ends at byte " +
                      std::to_string(offset_) + ", within what was compressed");
        }
      }
      const Step step = advance();
      if (step.given != 0 || ends_here_) return true;
      if (step.taken == 0 && !step.frame_ended) refuse_damaged(file_.path(), offset_);
    }
  }
  Step advance() {
    Step step;
    try {
      step = stream_->next(std::span<const char>(in_).subspan(in_at_, in_size_ - in_at_),
                           std::span(out_).subspan(size_));
    } catch (const Error& error) {
      throw Error("bulkhead: " + file_.path() + " is damaged near byte " + std::to_string(offset_) +
                  (offset_ == 0 ? ", or not compressed so: " : ": ") + error.what());
    }
    is_within_ = !step.frame_ended;
    in_at_ += step.taken;
    offset_ += step.taken;
    size_ += step.given;
    ends_here_ = step.frame_ended && offset_ == end_;
    return step;
  }
  void make_room() {
    const std::size_t left = size_ - at_;
    if (left > terms_.longest) refuse_long_line(file_.path(), terms_.longest, std::nullopt);
    if (out_.size() < left + kOut / 2) out_.resize(std::max(kOut, 2 * left));
    std::memmove(out_.data(), out_.data() + at_, left);
    at_ = 0;
    size_ = left;
  }

  UnchangedFile file_;
  LineTerms terms_;
  std::uint64_t end_ = 0;
  std::uint64_t offset_ = 0;  ///< in the file, of what the stream takes next
  std::optional<typename Format::Stream> stream_;
  std::vector<char> in_;
  std::size_t in_at_ = 0;
  std::size_t in_size_ = 0;
  std::vector<char> out_;
  std::size_t at_ = 0;  ///< in it: what has not been handed out
  std::size_t size_ = 0;
  bool skips_ = false;      ///< the line that is not of this piece
  bool ends_here_ = false;  ///< what is at hand ends where the piece does
  bool is_behind_ = false;  ///< what is read is not of this piece, but for the end of a line
  bool is_within_ = false;  ///< a frame
  bool over_ = true;
};

template <class Format>
struct CompressedReader {
  using Item = std::string_view;

  CompressedLines<Format> lines{};

  template <class Use>
  void read(TaskCall& task, Use use) {
    task.enter(TaskPhase::reading);
    const auto terms = task.argument.get<LineTerms>();
    lines.open(Codec<FilePiece>::decode(task.argument), terms);
    for (;;) {
      const std::string_view some = lines.next();
      if (some.empty()) return;
      task.enter(TaskPhase::running);
      use(some);
      task.enter(TaskPhase::reading);
    }
  }
};

/// Whole frames of files, as many as have about so many bytes.
template <class Format>
class CompressedParts final : public PieceSource {
 public:
  CompressedParts(std::vector<FilePiece> files, TextOptions options)
      : files_(std::move(files)), options_(options), weight_(bytes_of(files_)) {}

  std::optional<Piece> next() override {
    while (file_ != files_.size() && at_ >= files_[file_].size) {
      ++file_;
      at_ = 0;
    }
    if (file_ == files_.size()) return std::nullopt;
    FilePiece part = files_[file_];
    part.begin = at_;
    part.end = at_ = end_of_part(part);
    Piece piece;
    SpillWriter out({});
    out.put(LineTerms{options_.delimiter, options_.longest_line});
    Codec<FilePiece>::encode(part, out);
    piece.argument = out.take();
    piece.weight = part.end - part.begin;
    piece.name = name_of(part);
    return piece;
  }
  [[nodiscard]] std::optional<std::uint64_t> weight() const override { return weight_; }

 private:
  [[nodiscard]] std::uint64_t end_of_part(const FilePiece& part) {
    if (part.begin == 0) present_.open(part);
    std::uint64_t end = part.begin;
    while (end < part.size && end - part.begin < options_.split.value_or(kTextPart)) {
      end = Format::end_of_frame(present_, end, part.size);
      if (end > part.size) refuse_damaged(part.path, part.size);
    }
    return end;
  }

  const std::vector<FilePiece> files_;
  const TextOptions options_;
  const std::uint64_t weight_;
  std::size_t file_ = 0;
  std::uint64_t at_ = 0;
  UnchangedFile present_;
};

template <class Format>
class CompressedInput {
 public:
  using Reader = CompressedReader<Format>;

  CompressedInput(const std::vector<std::string>& patterns, TextOptions options)
      : files_(whole_files(patterns, Format::kFunction)), options_(checked(options)) {}
  [[nodiscard]] std::unique_ptr<PieceSource> pieces() const {
    return std::make_unique<CompressedParts<Format>>(files_, options_);
  }

 private:
  std::vector<FilePiece> files_;
  TextOptions options_;
};

}  // namespace bulkhead::detail
