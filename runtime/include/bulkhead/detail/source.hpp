// SPDX-License-Identifier: MIT
//
// Source: the elements of a range, drawn lazily and found again by index for as long as their task
// is not settled.
//   - a container with random access, or a borrowed range of known size (a span, an iota), is
//   indexed; an
//     element is read again if its worker died before it began
//   - any other range is iterated once, each element drawn exactly once; until it is settled it is
//   kept: by
//     its address if it lives elsewhere (a list), else as a copy
#pragma once

#include <bulkhead/detail/parcels.hpp>

#include <algorithm>
#include <concepts>
#include <cstdint>
#include <exception>
#include <iterator>
#include <map>
#include <memory>
#include <optional>
#include <ranges>
#include <type_traits>
#include <utility>
#include <vector>

namespace bulkhead::detail {

/// Reading an element twice is as good as once, and runs no code of the user's.
template <class Range, class Plain = std::remove_cvref_t<Range>>
inline constexpr bool kIndexed =
    std::ranges::random_access_range<Range>&& std::ranges::sized_range<Range> &&
    (std::is_lvalue_reference_v<std::ranges::range_reference_t<Range>>
         ? !std::ranges::view<Plain> || std::ranges::enable_borrowed_range<Plain>
         : std::ranges::enable_borrowed_range<Plain> &&
               std::is_trivially_copyable_v<std::ranges::range_value_t<Range>>);

/// More than there can be, and than can be added to without an overflow.
inline constexpr std::uint64_t kAllAtOnce = std::uint64_t{1} << 62;

/// An element that was drawn and is not settled.
template <class Range>
class Kept {
 public:
  explicit Kept(std::ranges::range_reference_t<Range>&& element)
      : value_(std::in_place, std::forward<std::ranges::range_reference_t<Range>>(element)) {}
  [[nodiscard]] const std::ranges::range_value_t<Range>& get() const { return *value_; }
  void forget() { value_.reset(); }

 private:
  std::optional<std::ranges::range_value_t<Range>> value_;
};

template <std::ranges::forward_range Range>
  requires std::is_lvalue_reference_v<std::ranges::range_reference_t<Range>>
class Kept<Range> {
 public:
  explicit Kept(std::ranges::range_reference_t<Range> element) : value_(std::addressof(element)) {}
  [[nodiscard]] const std::ranges::range_value_t<Range>& get() const { return *value_; }
  void forget() {}

 private:
  const std::ranges::range_value_t<Range>* value_;
};

/// `Range` is a reference for ranges that the caller keeps.
template <class Range>
class Source {
 public:
  using Value = std::ranges::range_value_t<Range>;
  /// Better not more than so many: those that do not fit into a ring are kept.
  static constexpr std::uint64_t kMostAtOnce = 64;

  explicit Source(Range&& range) : range_(std::forward<Range>(range)) {}

  /// Number of elements, if it is known without drawing them.
  [[nodiscard]] std::optional<std::uint64_t> size() {
    if constexpr (std::ranges::sized_range<Range>) {
      return static_cast<std::uint64_t>(std::ranges::size(range_));
    } else {
      return std::nullopt;
    }
  }

  /// Makes elements below `wanted` available, as far as there are any. Throws what the range
  /// throws.
  void draw(std::uint64_t wanted) {
    if (!begun_) {
      next_ = std::ranges::begin(range_);
      begun_ = true;
    }
    while (known_ < wanted && !ended_) {
      if (*next_ == std::ranges::end(range_)) {
        ended_ = true;
      } else {
        keep(**next_);
        ++*next_;
      }
    }
  }
  [[nodiscard]] std::uint64_t known() const { return known_; }
  [[nodiscard]] bool ended() const { return ended_; }

  /// An available element that has not been forgotten.
  [[nodiscard]] const Value& operator[](std::uint64_t index) const {
    return blocks_.find(index / kBlock)->second.elements[index % kBlock].get();
  }

  /// The element will not be needed any more.
  void forget(std::uint64_t index) {
    const auto block = blocks_.find(index / kBlock);
    block->second.elements[index % kBlock].forget();
    if (++block->second.forgotten == kBlock) blocks_.erase(block);
  }

 private:
  static constexpr std::uint64_t kBlock = 64;
  struct Block {
    std::vector<Kept<Range>> elements;
    std::uint64_t forgotten = 0;
  };

  void keep(std::ranges::range_reference_t<Range>&& element) {
    Block& block = blocks_[known_ / kBlock];
    block.elements.reserve(kBlock);
    block.elements.emplace_back(std::forward<std::ranges::range_reference_t<Range>>(element));
    ++known_;
  }

  Range range_;
  std::optional<std::ranges::iterator_t<Range>> next_;
  bool begun_ = false;
  bool ended_ = false;
  std::uint64_t known_ = 0;
  /// Those that may still be needed. An element that is long in settling keeps its block, and not
  /// all that came after it.
  std::map<std::uint64_t, Block> blocks_;
};

template <class Range>
  requires kIndexed<Range>
class Source<Range> {
 public:
  using Value = std::ranges::range_value_t<Range>;
  static constexpr std::uint64_t kMostAtOnce = kAllAtOnce;

  explicit Source(Range&& range)
      : range_(std::forward<Range>(range)),
        begin_(std::ranges::begin(range_)),
        size_(static_cast<std::uint64_t>(std::ranges::size(range_))) {}

  [[nodiscard]] std::optional<std::uint64_t> size() { return size_; }
  void draw(std::uint64_t) {}
  [[nodiscard]] std::uint64_t known() const { return size_; }
  [[nodiscard]] bool ended() const { return true; }
  [[nodiscard]] decltype(auto) operator[](std::uint64_t index) const {
    return begin_[static_cast<std::ranges::range_difference_t<Range>>(index)];
  }
  void forget(std::uint64_t) {}

 private:
  Range range_;
  std::ranges::iterator_t<Range> begin_;
  std::uint64_t size_;
};

/// A range that outlives its caller's: a container is copied or moved, a view kept as it is, any
/// other range read to its end.
template <class Range>
auto own(Range&& range) {
  using Plain = std::remove_cvref_t<Range>;
  if constexpr (kIndexed<Plain> && !std::is_array_v<Plain>) {
    return Plain(std::forward<Range>(range));
  } else {
    std::vector<std::ranges::range_value_t<Range>> elements;
    for (auto&& element : range) elements.emplace_back(std::forward<decltype(element)>(element));
    return elements;
  }
}

/// Elements that are their own indices.
struct Indices {
  std::uint64_t count = 0;
};

template <>
class Source<Indices> {
 public:
  static constexpr std::uint64_t kMostAtOnce = kAllAtOnce;

  explicit Source(Indices indices) : count_(indices.count) {}
  [[nodiscard]] std::optional<std::uint64_t> size() const { return count_; }
  void draw(std::uint64_t) {}
  [[nodiscard]] std::uint64_t known() const { return count_; }
  [[nodiscard]] bool ended() const { return true; }
  void forget(std::uint64_t) {}

 private:
  std::uint64_t count_;
};

/// Elements that come from elsewhere, encoded.
template <>
class Source<Parcels&> {
 public:
  static constexpr std::uint64_t kMostAtOnce = kAllAtOnce;

  explicit Source(Parcels& parcels) : parcels_(parcels) {}
  [[nodiscard]] std::optional<std::uint64_t> size() const { return std::nullopt; }
  void draw(std::uint64_t wanted) { parcels_.ask_for(wanted); }
  [[nodiscard]] std::uint64_t known() const { return parcels_.known(); }
  [[nodiscard]] bool ended() const { return parcels_.closed(); }
  [[nodiscard]] Parcel operator[](std::uint64_t index) const { return parcels_[index]; }
  void forget(std::uint64_t index) { parcels_.forget(index); }

 private:
  Parcels& parcels_;
};

}  // namespace bulkhead::detail
