// SPDX-License-Identifier: MIT
//
// BlockPlan: what is left to be done of a row of pieces, as tasks that are blocks of consecutive
// ones. A block that fails is cut: the piece that failed is by itself from then on, and the others
// are given to somebody again. Plain state, no clock; one thread at a time.
//
//   0 ... given_      belong to a block that is out, to todo_, or are done
//   given_ ... known  exist, and are nobody's yet
//   limit_            what begins there or behind need not be done, as something has failed
#pragma once

#include <bulkhead/detail/reduce_plan.hpp>

#include <cstdint>
#include <map>
#include <optional>

namespace bulkhead::detail {

class BlockPlan {
 public:
  struct Block {
    Elements pieces;
    std::optional<std::uint64_t> only;  ///< it has failed for good, at that piece
  };

  /// The pieces from which the next block takes the first ones, of those below `known`; none: there
  /// are no others.
  [[nodiscard]] Elements next(std::uint64_t known) const;
  /// Makes a block of the first `count` of them.
  void give(std::uint64_t count);

  /// Blocks that have come to be.
  [[nodiscard]] std::uint64_t known() const { return next_; }
  [[nodiscard]] bool has_leftovers() const;
  /// Blocks that have not ended.
  [[nodiscard]] std::uint64_t open() const { return blocks_.size(); }
  /// One that has not ended; null: there is no such block.
  [[nodiscard]] const Block* find(std::uint64_t block) const;
  [[nodiscard]] bool is_wanted(std::uint64_t block) const;
  [[nodiscard]] bool has_failed() const { return limit_ != kNoElement; }

  /// It is done.
  void finish(std::uint64_t block) { blocks_.erase(block); }
  /// Only so many pieces of it are, the first ones; the others are to be done.
  void finish(std::uint64_t block, std::uint64_t done);
  /// It has not been done, and is to be done by others.
  void give_back(std::uint64_t block);
  /// It has failed at `piece`. `again`: it will be run again, as that piece alone.
  void narrow(std::uint64_t block, std::uint64_t piece, bool again);
  /// It has failed for good, at the piece that it was narrowed to; what else it was is to be done
  /// by others. `stop`: so need not what comes behind.
  void fail(std::uint64_t block, bool stop);

 private:
  void leave(Elements pieces);

  std::map<std::uint64_t, Block> blocks_;
  std::uint64_t next_ = 0;
  std::uint64_t given_ = 0;
  std::uint64_t limit_ = kNoElement;
  std::map<std::uint64_t, std::uint64_t> todo_;  ///< left over: first piece to the number of them
};

}  // namespace bulkhead::detail
