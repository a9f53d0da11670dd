// SPDX-License-Identifier: MIT
//
// A range as the input of a keyed job: its elements travel, some at a time.
#pragma once

#include <bulkhead/codec.hpp>
#include <bulkhead/detail/callable.hpp>
#include <bulkhead/detail/keyed_job.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <ranges>
#include <utility>

namespace bulkhead::detail {

template <class Range>
class RangePieces final : public PieceSource {
  using T = std::ranges::range_value_t<Range>;

 public:
  explicit RangePieces(Range& range)
      : at_(std::ranges::begin(range)), end_(std::ranges::end(range)) {}

  std::optional<Piece> next() override {
    Piece piece;
    SpillWriter out({});
    for (; at_ != end_ && piece.ends.size() < kMostElements && out.size() < kManyBytes; ++at_) {
      const auto& element = *at_;
      Codec<T>::encode(element, out);
      piece.ends.push_back(out.size());
      if constexpr (requires { element.input_bytes(); }) piece.weight += element.input_bytes();
    }
    if (piece.ends.empty()) return std::nullopt;
    piece.argument = out.take();
    if (piece.weight == 0) piece.weight = piece.argument.size();
    return piece;
  }

 private:
  static constexpr std::size_t kMostElements = 4096;
  static constexpr std::size_t kManyBytes = std::size_t{64} << 10;

  std::ranges::iterator_t<Range> at_;
  const std::ranges::sentinel_t<Range> end_;
};

template <class T>
struct RangeReader {
  using Item = T;

  template <class Use>
  void read(TaskCall& task, Use use) {
    task.enter(TaskPhase::decoding);
    T element = Codec<T>::decode(task.argument);
    task.enter(TaskPhase::running);
    use(std::move(element));
  }
};

}  // namespace bulkhead::detail
