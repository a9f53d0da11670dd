// SPDX-License-Identifier: MIT
#include <bulkhead/detail/result_pieces.hpp>

namespace bulkhead::detail {

ResultPieces::ResultPieces(std::shared_ptr<RunStore> store,
                           const std::vector<std::vector<Slice>>& partitions)
    : store_(std::move(store)) {
  for (const auto& partition : partitions) {
    for (const Slice& slice : partition) {
      slices_.push_back(slice);
      weight_ += slice.bytes;
    }
  }
}

std::optional<Piece> ResultPieces::next() {
  if (next_ == slices_.size()) return std::nullopt;
  const Slice& slice = slices_[next_++];
  Piece piece;
  SpillWriter out({});
  out.put(ResultPart{store_->ticket(), slice});
  piece.argument = out.take();
  piece.weight = slice.bytes;
  piece.name = "part " + std::to_string(next_ - 1) + " of a result";
  return piece;
}

}  // namespace bulkhead::detail
