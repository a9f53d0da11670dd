// SPDX-License-Identifier: MIT
#include "runtime/block_plan.hpp"

#include <algorithm>

namespace bulkhead::detail {

bool BlockPlan::has_leftovers() const {
  return !todo_.empty() && todo_.begin()->first < limit_;
}

Elements BlockPlan::next(std::uint64_t known) const {
  if (has_leftovers()) {
    const auto [first, count] = *todo_.begin();
    return {first, std::min(count, limit_ - first)};
  }
  const std::uint64_t end = std::min(known, limit_);
  return {given_, end > given_ ? end - given_ : 0};
}

void BlockPlan::give(std::uint64_t count) {
  Elements pieces{given_, count};
  if (has_leftovers()) {
    const auto [first, left] = *todo_.begin();
    pieces.first = first;
    todo_.erase(todo_.begin());
    leave({first + count, left - count});
  } else {
    given_ += count;
  }
  blocks_[next_++].pieces = pieces;
}

const BlockPlan::Block* BlockPlan::find(std::uint64_t block) const {
  const auto found = blocks_.find(block);
  return found == blocks_.end() ? nullptr : &found->second;
}

bool BlockPlan::is_wanted(std::uint64_t block) const {
  const Block* const found = find(block);
  return found != nullptr && found->pieces.first < limit_;
}

void BlockPlan::finish(std::uint64_t block, std::uint64_t done) {
  const auto found = blocks_.find(block);
  if (found == blocks_.end()) return;
  const Elements pieces = found->second.pieces;
  blocks_.erase(found);
  leave({pieces.first + done, pieces.count - done});
}

void BlockPlan::give_back(std::uint64_t block) {
  const auto found = blocks_.find(block);
  if (found == blocks_.end()) return;
  leave(found->second.pieces);
  blocks_.erase(found);
}

void BlockPlan::narrow(std::uint64_t block, std::uint64_t piece, bool again) {
  const auto found = blocks_.find(block);
  if (found == blocks_.end()) return;
  Block& failed = found->second;
  if (!again) {
    failed.only = piece;
    return;
  }
  leave({failed.pieces.first, piece - failed.pieces.first});
  leave({piece + 1, failed.pieces.end() - piece - 1});
  failed.pieces = {piece, 1};
}

void BlockPlan::fail(std::uint64_t block, bool stop) {
  const auto found = blocks_.find(block);
  if (found == blocks_.end()) return;
  const Elements pieces = found->second.pieces;
  const std::uint64_t piece = found->second.only.value_or(pieces.first);
  blocks_.erase(found);
  leave({pieces.first, piece - pieces.first});
  if (stop) {
    limit_ = std::min(limit_, piece);
  } else {
    leave({piece + 1, pieces.end() - piece - 1});
  }
}

void BlockPlan::leave(Elements pieces) {
  if (pieces.count != 0) todo_[pieces.first] = pieces.count;
}

}  // namespace bulkhead::detail
