// SPDX-License-Identifier: MIT
#include <bulkhead/detail/reduce_plan.hpp>
#include <bulkhead/error.hpp>

#include <algorithm>
#include <bit>
#include <iterator>
#include <utility>

namespace bulkhead::detail {
namespace {

constexpr std::uint64_t kLargestNode = std::uint64_t{1} << 62;

/// The largest node that may begin at an element.
std::uint64_t largest_at(std::uint64_t element) {
  return element == 0 ? kLargestNode : std::min(element & (~element + 1), kLargestNode);
}

}  // namespace

std::uint64_t ReducePlan::node_size(std::uint64_t first, std::uint64_t end) {
  return std::min(largest_at(first), std::bit_floor(end - first));
}

void ReducePlan::extend(std::uint64_t known, bool ended) {
  known_ = known;
  ended_ = ended;
}

bool ReducePlan::has_leftovers() const {
  return !todo_.empty() && todo_.begin()->first < limit_;
}

Elements ReducePlan::next_block() const {
  if (has_leftovers()) {
    const auto [first, count] = *todo_.begin();
    return {first, std::min(largest_at(first), count)};
  }
  if (given_ >= limit_ || (ended_ && given_ == known_)) return {given_, 0};
  return {given_, largest_at(given_)};
}

bool ReducePlan::give(std::uint64_t most) {
  const bool left_over = has_leftovers();
  const std::uint64_t first = left_over ? todo_.begin()->first : given_;
  const std::uint64_t end = left_over ? first + todo_.begin()->second : known_;
  if (first >= end || first >= limit_) return false;
  const std::uint64_t size = std::min(most, largest_at(first));
  // The elements at the end are a node together, however many they are.
  const bool is_tail = ended_ && end == known_ && end - first <= size;
  const std::uint64_t count = is_tail ? end - first : std::min(size, std::bit_floor(end - first));
  if (left_over) {
    todo_.erase(todo_.begin());
    leave({first + count, end - first - count});
  } else {
    given_ += count;
  }
  steps_[next_++].elements = {first, count};
  return true;
}

bool ReducePlan::conclude() {
  const bool all_given = given_ >= limit_ || (ended_ && given_ == known_);
  if (complete_ || !all_given || has_leftovers() || !steps_.empty()) return false;
  const std::uint64_t before = next_;
  if (has_failed()) {
    conclude_failure();
    complete_ = next_ == before;
  } else if (nodes_.empty()) {
    complete_ = true;
  } else if (singly_ && nodes_.size() > 1) {
    const std::uint64_t left = std::prev(nodes_.end(), 2)->first;
    combine({left, known_ - left});
  } else {
    combine({0, known_}, true);
    complete_ = true;
  }
  return next_ != before;
}

/// Combines what can be combined before the failure, as that may fail too.
void ReducePlan::conclude_failure() {
  for (std::uint64_t first = 0; first < limit_;) {
    const Elements node{first, node_size(first, limit_)};
    combine(node);
    first = node.end();
  }
}

const ReducePlan::Step* ReducePlan::find(std::uint64_t step) const {
  const auto found = steps_.find(step);
  return found == steps_.end() ? nullptr : &found->second;
}

bool ReducePlan::is_wanted(std::uint64_t step) const {
  const Step* found = find(step);
  return found != nullptr && found->elements.first < limit_;
}

void ReducePlan::finish(std::uint64_t step, std::uint64_t done, std::vector<NodeBytes> nodes) {
  const Step& ended = steps_.at(step);
  const Elements elements = ended.elements;
  const bool is_whole = done == elements.count;
  const bool may_be_half = ended.parts.empty() && done != 0 && done < elements.count;
  const auto expected = is_whole ? 1 : static_cast<std::size_t>(std::popcount(done));
  if ((!is_whole && !may_be_half) || nodes.size() != expected) {
    throw DecodeError("the answer is not what was asked for");
  }
  const bool last = ended.last;
  steps_.erase(step);
  if (last) return;
  if (is_whole) return put(elements, std::move(nodes[0]));
  const std::uint64_t end = elements.first + done;
  leave({end, elements.count - done});
  std::uint64_t first = elements.first;
  for (NodeBytes& node : nodes) {
    const std::uint64_t count = node_size(first, end);
    put({first, count}, std::move(node));
    first += count;
  }
}

void ReducePlan::narrow(std::uint64_t step, std::uint64_t element, bool again) {
  const auto found = steps_.find(step);
  if (found == steps_.end() || !found->second.parts.empty()) return;
  Step& failed = found->second;
  if (!again) {
    failed.only = element;
    return;
  }
  leave({element + 1, failed.elements.end() - element - 1});
  cut(step, element);
}

void ReducePlan::cut(std::uint64_t step, std::uint64_t element) {
  Elements& elements = steps_.at(step).elements;
  leave({elements.first, element - elements.first});
  elements = {element, 1};
}

void ReducePlan::fail(std::uint64_t step) {
  const auto found = steps_.find(step);
  if (found == steps_.end()) return;
  limit_ = std::min(limit_, found->second.elements.first);
  steps_.erase(found);
}

void ReducePlan::leave(Elements elements) {
  if (elements.count != 0) todo_[elements.first] = elements.count;
}

void ReducePlan::put(Elements elements, NodeBytes node) {
  waiting_bytes_ += node.view().size();
  nodes_[elements.first] = {elements.count, std::move(node)};
  combine_around(elements);
}

/// Makes a step of the largest node that can be combined from what is there, if it is worth one.
void ReducePlan::combine_around(Elements elements) {
  if (!std::has_single_bit(elements.count)) return;
  Elements node = elements;
  while (node.count < kLargestNode) {
    const std::uint64_t size = node.count * 2;
    const Elements above{node.first & ~(size - 1), size};
    if (!covers(above)) break;
    node = above;
    if (singly_) break;
  }
  std::uint64_t parts = 0;
  std::uint64_t bytes = 0;
  for (auto part = nodes_.find(node.first); part != nodes_.end() && part->first < node.end();
       ++part) {
    ++parts;
    bytes += part->second.node.view().size();
  }
  if (parts >= most_parts_ || bytes >= kManyBytes) combine(node);
}

/// True if these elements are in nodes that wait.
bool ReducePlan::covers(Elements elements) const {
  std::uint64_t at = elements.first;
  for (auto part = nodes_.find(at); at < elements.end(); ++part) {
    if (part == nodes_.end() || part->first != at) return false;
    at += part->second.count;
  }
  return at == elements.end();
}

/// Makes a step of the nodes that make up these elements. False: there is one only.
bool ReducePlan::combine(Elements elements, bool last) {
  const auto begin = nodes_.lower_bound(elements.first);
  const auto end = nodes_.lower_bound(elements.end());
  if (begin == end || (!last && std::next(begin) == end)) return false;
  Step& step = steps_[next_++];
  step.elements = elements;
  step.last = last;
  for (auto part = begin; part != end; ++part) {
    waiting_bytes_ -= part->second.node.view().size();
    step.parts.push_back(std::move(part->second));
  }
  nodes_.erase(begin, end);
  return true;
}

}  // namespace bulkhead::detail
