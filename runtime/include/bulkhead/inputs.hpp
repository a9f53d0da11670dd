// SPDX-License-Identifier: MIT
//
// What Pool::map_reduce_by_key reads: text files, or a range.
#pragma once

#include <bulkhead/codec.hpp>
#include <bulkhead/detail/callable.hpp>
#include <bulkhead/detail/keyed_job.hpp>
#include <bulkhead/detail/text_piece.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <ranges>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace bulkhead {

struct TextOptions {
  /// Bytes of a file that are mapped at a time; a line that begins there is read to its end.
  std::uint64_t split = std::uint64_t{1} << 20;
};

/// Text files, in the order of their names. A mapper gets some whole lines of a file at a time,
/// with their ends, as a std::string_view: see words() and lines().
class TextInput {
 public:
  /// Throws SystemError if there is none.
  TextInput(const std::string& pattern, TextOptions options);

  [[nodiscard]] std::unique_ptr<detail::PieceSource> pieces() const;

 private:
  std::vector<detail::TextPiece> files_;
  TextOptions options_;
};
/// `pattern` as for glob(7).
[[nodiscard]] inline TextInput text(const std::string& pattern, TextOptions options = {}) {
  return TextInput(pattern, options);
}

namespace detail {

/// The elements of a range, some at a time, as they travel.
template <class Range>
class RangePieces final : public PieceSource {
  using T = std::ranges::range_value_t<Range>;

 public:
  explicit RangePieces(Range& range)
      : at_(std::ranges::begin(range)), end_(std::ranges::end(range)) {}

  std::optional<Piece> next() override {
    SpillWriter out({});
    std::uint64_t count = 0;
    for (; at_ != end_ && count < kMostElements && out.size() < kManyBytes; ++at_, ++count) {
      Codec<T>::encode(*at_, out);
    }
    if (count == 0) return std::nullopt;
    Piece piece;
    SpillWriter head({});
    head.put(count);
    piece.argument = head.take();
    const std::vector<std::byte> elements = out.take();
    piece.argument.insert(piece.argument.end(), elements.begin(), elements.end());
    piece.weight = elements.size();
    return piece;
  }

 private:
  static constexpr std::uint64_t kMostElements = 4096;
  static constexpr std::size_t kManyBytes = std::size_t{64} << 10;

  std::ranges::iterator_t<Range> at_;
  const std::ranges::sentinel_t<Range> end_;
};

template <class T>
struct RangeReader {
  template <class Use>
  void read(TaskCall& task, Use use) {
    const auto count = task.argument.get<std::uint64_t>();
    for (std::uint64_t i = 0; i < count; ++i) {
      task.enter(TaskPhase::decoding);
      T element = Codec<T>::decode(task.argument);
      task.enter(TaskPhase::running);
      use(std::move(element));
    }
  }
};

struct TextReader {
  LineBlocks blocks;

  template <class Use>
  void read(TaskCall& task, Use use) {
    task.enter(TaskPhase::decoding);
    blocks.open(Codec<TextPiece>::decode(task.argument));
    task.enter(TaskPhase::running);
    for (;;) {
      const std::string_view lines = blocks.next();
      if (lines.empty()) return;
      use(lines);
    }
  }
};

}  // namespace detail
}  // namespace bulkhead
