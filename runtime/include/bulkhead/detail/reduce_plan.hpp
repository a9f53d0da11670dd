// SPDX-License-Identifier: MIT
//
// ReducePlan: what is left to be done of a reduction, as tasks. Its elements are the leaves of a
// tree whose shape depends on their number only (see Pool::map_reduce): 2^l elements from a
// multiple of 2^l on are a node, and so are those at the end that have no partner. A task computes
// one node: from its elements (a block), or from nodes below it that have come. Which nodes those
// are depends on luck; what they are does not. Plain state, no clock; one thread at a time.
//
//   0 ... given_    belong to a block that is out, to todo_, or to a node in nodes_
//   given_ ... known_   exist
//   limit_          what begins there or behind need not be done, as something has failed
#pragma once

#include <bulkhead/detail/job.hpp>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <span>
#include <vector>

namespace bulkhead::detail {

/// Elements first, first + 1, ... (count of them).
struct Elements {
  std::uint64_t first = 0;
  std::uint64_t count = 0;
  [[nodiscard]] std::uint64_t end() const { return first + count; }
  bool operator==(const Elements&) const = default;
};

/// The value of a node as its worker has encoded it.
struct NodeBytes {
  std::vector<std::byte> memory;
  std::size_t begin = 0;
  [[nodiscard]] std::span<const std::byte> view() const { return std::span(memory).subspan(begin); }
};

class ReducePlan {
 public:
  struct Part {
    std::uint64_t count = 0;  ///< of its elements
    NodeBytes node;
  };
  struct Step {
    Elements elements;
    std::vector<Part> parts;            ///< to be combined; none: it is a block
    bool last = false;                  ///< with the initial value, too: its node is the result
    std::optional<std::uint64_t> only;  ///< it has failed for good, at that element
  };

  /// `singly`: a step calls a function of the user's once.
  explicit ReducePlan(bool singly) : most_parts_(singly ? 2 : kMostParts), singly_(singly) {}

  // Making steps, which are numbered as they come to be.

  /// Elements below `known` exist; `ended`: there are no others.
  void extend(std::uint64_t known, bool ended);
  /// Elements at which the next block begins, and how many it may have from there on, known or not;
  /// nothing: elements have to be made known first, or none is wanted any more.
  [[nodiscard]] Elements next_block() const;
  /// True if some are left from blocks that were not done to their end.
  [[nodiscard]] bool has_leftovers() const;
  /// Makes a block of at most `most` elements, a power of two. False: there are none.
  bool give(std::uint64_t most);
  /// When all elements are given and all steps have ended: makes those that come last. False: it is
  /// not time yet, or there are none.
  bool conclude();

  /// Steps that have come to be.
  [[nodiscard]] std::uint64_t known() const { return next_; }
  /// There will be no others.
  [[nodiscard]] bool complete() const { return complete_; }
  /// One that has not ended; null: there is no such step.
  [[nodiscard]] const Step* find(std::uint64_t step) const;
  /// True if the step may still tell what the call's outcome is.
  [[nodiscard]] bool is_wanted(std::uint64_t step) const;
  [[nodiscard]] bool has_failed() const { return limit_ != kNoElement; }

  // Steps end.

  /// `nodes` are those of its first `done` elements: the one node of all, or, of a block, those
  /// that are complete. Throws DecodeError if that cannot be.
  void finish(std::uint64_t step, std::uint64_t done, std::vector<NodeBytes> nodes);
  /// It has failed at `element`. `again`: it will be run again, as that element alone.
  void narrow(std::uint64_t step, std::uint64_t element, bool again);
  /// The elements of a block before this one are to be done by others.
  void cut(std::uint64_t step, std::uint64_t element);
  /// It has failed for good.
  void fail(std::uint64_t step);
  /// It has not been run, and is not wanted.
  void drop(std::uint64_t step) { steps_.erase(step); }

  /// Steps that have not ended.
  [[nodiscard]] std::uint64_t open() const { return steps_.size(); }
  /// Nodes that wait for others, and the bytes of their values.
  [[nodiscard]] std::uint64_t waiting() const { return nodes_.size(); }
  [[nodiscard]] std::uint64_t waiting_bytes() const { return waiting_bytes_; }

  /// Of the elements before `end` that come to it, so many from `first` on are in one node.
  [[nodiscard]] static std::uint64_t node_size(std::uint64_t first, std::uint64_t end);

 private:
  static constexpr std::uint64_t kMostParts = 64;
  /// A step combines what there is, be it two nodes, if it is as large as that.
  static constexpr std::uint64_t kManyBytes = std::uint64_t{4} << 20;
  using Nodes = std::map<std::uint64_t, Part>;  ///< by the first element

  void put(Elements elements, NodeBytes node);
  void leave(Elements elements);
  void combine_around(Elements elements);
  [[nodiscard]] bool covers(Elements elements) const;
  bool combine(Elements elements, bool last = false);
  void conclude_failure();

  const std::uint64_t most_parts_;
  const bool singly_;
  std::map<std::uint64_t, Step> steps_;
  std::uint64_t next_ = 0;
  bool complete_ = false;

  std::uint64_t known_ = 0;
  std::uint64_t given_ = 0;
  bool ended_ = false;
  std::uint64_t limit_ = kNoElement;
  std::map<std::uint64_t, std::uint64_t> todo_;  ///< left over: first element to the number of them
  Nodes nodes_;
  std::uint64_t waiting_bytes_ = 0;
};

}  // namespace bulkhead::detail
