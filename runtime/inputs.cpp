// SPDX-License-Identifier: MIT
#include <bulkhead/error.hpp>
#include <bulkhead/inputs.hpp>

#include <algorithm>
#include <functional>
#include <istream>
#include <utility>

namespace bulkhead {
namespace {

using detail::FilePiece;
using detail::Piece;
using detail::SpillWriter;

/// Short texts have so many parts at least: each line may be hard work.
constexpr std::uint64_t kLeastParts = 64;

/// Parts of files, of so many bytes at the most. `head` writes what is before each.
class FileParts final : public detail::PieceSource {
 public:
  using Head = std::function<void(std::size_t file, SpillWriter& out)>;

  FileParts(std::vector<FilePiece> files, std::uint64_t most, Head head)
      : files_(std::move(files)), most_(most), head_(std::move(head)), weight_(bytes_of(files_)) {}

  std::optional<Piece> next() override {
    while (file_ != files_.size() && at_ >= files_[file_].size && has_begun_) {
      ++file_;
      at_ = 0;
      has_begun_ = false;
    }
    if (file_ == files_.size()) return std::nullopt;
    FilePiece part = files_[file_];
    part.begin = at_;
    part.end = std::min(most_ > part.size - at_ ? part.size : at_ + most_, part.size);
    at_ = part.end;
    has_begun_ = true;
    Piece piece;
    SpillWriter out({});
    head_(file_, out);
    Codec<FilePiece>::encode(part, out);
    piece.argument = out.take();
    piece.weight = part.end - part.begin;
    piece.name = name_of(part);
    return piece;
  }
  [[nodiscard]] std::optional<std::uint64_t> weight() const override { return weight_; }

 private:
  const std::vector<FilePiece> files_;
  const std::uint64_t most_;
  const Head head_;
  const std::uint64_t weight_;
  std::size_t file_ = 0;
  std::uint64_t at_ = 0;
  bool has_begun_ = false;  ///< the file: an empty one has one part, too
};

/// Whole lines of a stream.
class StreamParts final : public detail::PieceSource {
 public:
  StreamParts(std::istream& stream, const TextOptions& options)
      : stream_(stream), options_(options) {}

  std::optional<Piece> next() override {
    std::string lines = std::move(rest_);
    rest_.clear();
    std::size_t end = std::string::npos;
    while (end == std::string::npos && read_into(lines)) end = lines.rfind(options_.delimiter);
    if (end != std::string::npos) {
      rest_ = lines.substr(end + 1);
      lines.resize(end + 1);
    }
    if (lines.empty()) return std::nullopt;
    Piece piece;
    SpillWriter out({});
    Codec<std::string>::encode(lines, out);
    piece.argument = out.take();
    piece.weight = lines.size();
    piece.name = "bytes " + std::to_string(offset_) + " to " +
                 std::to_string(offset_ + lines.size()) + " of the stream";
    offset_ += lines.size();
    return piece;
  }

 private:
  /// False: that was all.
  bool read_into(std::string& lines) {
    if (lines.size() > options_.longest_line)
      detail::refuse_long_line("the stream", options_.longest_line, offset_);
    const std::size_t before = lines.size();
    const std::uint64_t part = std::min(detail::kTextPart, offset_ / kLeastParts + 1);
    const auto most = static_cast<std::size_t>(
        std::min<std::uint64_t>(options_.split.value_or(part), std::uint64_t{16} << 20));
    lines.resize(before + most);
    stream_.read(lines.data() + before, static_cast<std::streamsize>(most));
    const auto got = static_cast<std::size_t>(stream_.gcount());
    lines.resize(before + got);
    if (stream_.bad()) throw Error("bulkhead: text(): the stream cannot be read");
    return got != 0;
  }

  std::istream& stream_;
  const TextOptions options_;
  std::string rest_;  ///< the beginning of a line
  std::uint64_t offset_ = 0;
};

/// What is meant for other functions.
void refuse_compressed(const std::string& path) {
  for (const auto& [suffix, format] :
       {std::pair(".gz", "gzip"), {".zst", "zstd"}, {".lz4", "lz4"}}) {
    if (path.ends_with(suffix))
      throw InvalidArgument("bulkhead: text(): " + path + " is compressed: " + format +
                            "_text() of <bulkhead/" + format + ".hpp> reads it");
  }
}

}  // namespace

namespace detail {

TextOptions checked(const TextOptions& options) {
  if (options.split == 0)
    throw InvalidArgument("bulkhead: TextOptions::split is 0; it must be 1 or more bytes");
  if (options.longest_line == 0)
    throw InvalidArgument("bulkhead: TextOptions::longest_line is 0; it must be 1 or more bytes");
  return options;
}

}  // namespace detail

TextInput::TextInput(const std::vector<std::string>& patterns, TextOptions options)
    : files_(detail::whole_files(patterns, "text")), options_(detail::checked(options)) {
  for (const FilePiece& file : files_) refuse_compressed(file.path);
}

std::unique_ptr<detail::PieceSource> TextInput::pieces() const {
  const detail::LineTerms terms{options_.delimiter, options_.longest_line};
  const std::uint64_t part = std::min(detail::kTextPart, bytes_of(files_) / kLeastParts + 1);
  return std::make_unique<FileParts>(files_, options_.split.value_or(part),
                                     [terms](std::size_t, SpillWriter& out) { out.put(terms); });
}

StreamInput::StreamInput(std::istream& stream, TextOptions options)
    : stream_(stream), options_(detail::checked(options)) {}

std::unique_ptr<detail::PieceSource> StreamInput::pieces() const {
  return std::make_unique<StreamParts>(stream_, options_);
}

FilesInput::FilesInput(const std::vector<std::string>& patterns, std::uint64_t largest)
    : files_(detail::whole_files(patterns, "files")) {
  for (const FilePiece& file : files_) {
    if (file.size > largest)
      throw InvalidArgument("bulkhead: files(): " + file.path + " has " +
                            std::to_string(file.size) + " bytes, more than the largest allowed, " +
                            std::to_string(largest) + "; text() reads files in parts");
  }
}

std::unique_ptr<detail::PieceSource> FilesInput::pieces() const {
  return std::make_unique<FileParts>(
      files_, ~std::uint64_t{0},
      [](std::size_t file, SpillWriter& out) { out.put(static_cast<std::uint64_t>(file)); });
}

RecordsInput::RecordsInput(const std::vector<std::string>& patterns, std::uint64_t bytes)
    : files_(detail::whole_files(patterns, "records")), bytes_(bytes) {
  if (bytes == 0)
    throw InvalidArgument("bulkhead: records(): a record has 0 bytes; it must have 1 or more");
  constexpr std::uint64_t kMostBytes = std::uint64_t{1} << 30;
  if (bytes > kMostBytes)
    throw InvalidArgument("bulkhead: records(): a record has " + std::to_string(bytes) +
                          " bytes; it must have 1 GiB at the most");
  for (const FilePiece& file : files_) {
    if (file.size % bytes != 0)
      throw InvalidArgument("bulkhead: records(): " + file.path + " has " +
                            std::to_string(file.size) + " bytes, which is no multiple of " +
                            std::to_string(bytes));
  }
}

std::unique_ptr<detail::PieceSource> RecordsInput::pieces() const {
  constexpr std::uint64_t kPart = std::uint64_t{1} << 20;
  const std::uint64_t bytes = bytes_;
  return std::make_unique<FileParts>(files_, std::max<std::uint64_t>(kPart / bytes, 1) * bytes,
                                     [bytes](std::size_t, SpillWriter& out) { out.put(bytes); });
}

}  // namespace bulkhead
