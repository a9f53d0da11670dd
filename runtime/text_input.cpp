// SPDX-License-Identifier: MIT
#include <bulkhead/error.hpp>
#include <bulkhead/inputs.hpp>

#include <algorithm>
#include <cerrno>
#include <glob.h>
#include <utility>

namespace bulkhead {
namespace {

using detail::Piece;
using detail::TextPiece;

class Splits final : public detail::PieceSource {
 public:
  Splits(std::vector<TextPiece> files, std::uint64_t split)
      : files_(std::move(files)), split_(split) {
    for (const TextPiece& file : files_) weight_ += file.size;
  }

  std::optional<Piece> next() override {
    while (file_ != files_.size() && at_ >= files_[file_].size) {
      ++file_;
      at_ = 0;
    }
    if (file_ == files_.size()) return std::nullopt;
    TextPiece text = files_[file_];
    text.begin = at_;
    text.end = std::min(at_ + split_, text.size);
    at_ = text.end;
    Piece piece;
    detail::SpillWriter out({});
    Codec<TextPiece>::encode(text, out);
    piece.argument = out.take();
    piece.weight = text.end - text.begin;
    piece.name =
        text.path + ", bytes " + std::to_string(text.begin) + " to " + std::to_string(text.end);
    return piece;
  }
  [[nodiscard]] std::optional<std::uint64_t> weight() const override { return weight_; }

 private:
  const std::vector<TextPiece> files_;
  const std::uint64_t split_;
  std::uint64_t weight_ = 0;
  std::size_t file_ = 0;
  std::uint64_t at_ = 0;
};

}  // namespace

TextInput::TextInput(const std::string& pattern, TextOptions options) : options_(options) {
  if (options.split == 0)
    throw InvalidArgument("bulkhead: TextOptions::split is 0; it must be 1 or more bytes");
  glob_t found{};
  const int error = ::glob(pattern.c_str(), GLOB_TILDE, nullptr, &found);
  try {
    if (error == GLOB_NOMATCH)
      throw SystemError("bulkhead: text(): there is no file " + pattern, ENOENT);
    if (error != 0)
      throw SystemError("bulkhead: text(): " + pattern + " cannot be looked for", errno);
    for (std::size_t i = 0; i < found.gl_pathc; ++i)
      files_.push_back(detail::whole_file(found.gl_pathv[i]));
  } catch (...) {
    ::globfree(&found);
    throw;
  }
  ::globfree(&found);
}

std::unique_ptr<detail::PieceSource> TextInput::pieces() const {
  return std::make_unique<Splits>(files_, options_.split);
}

}  // namespace bulkhead
