// SPDX-License-Identifier: MIT
//
// HeldPieces: what has been drawn of an input and is not done yet, by the numbers of its elements.
// Plain state; one thread at a time.
#pragma once

#include <bulkhead/detail/keyed_job.hpp>
#include <bulkhead/detail/reduce_plan.hpp>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <span>
#include <string>

namespace bulkhead::detail {

class HeldPieces {
 public:
  void add(Piece piece);

  /// Elements that have been drawn.
  [[nodiscard]] std::uint64_t known() const { return known_; }
  /// Bytes of memory for those that are not done.
  [[nodiscard]] std::uint64_t held_bytes() const { return held_bytes_; }
  /// How many of these elements it takes for so much input: at least one, if there is one.
  [[nodiscard]] std::uint64_t count_of(Elements elements, std::uint64_t weight) const;
  [[nodiscard]] std::uint64_t weight_of(Elements elements) const;
  /// Calls `use(std::span<const std::byte>)` with the encoded elements, some at a time.
  template <class Use>
  void for_each(Elements elements, Use use) const {
    for (std::uint64_t at = elements.first; at != elements.end();) {
      const Held& held = find(at);
      const Elements part = common(held, {at, elements.end() - at});
      use(bytes_of(held, part));
      at = part.end();
    }
  }
  /// Empty if it is done, or has none.
  [[nodiscard]] std::string name_of(std::uint64_t element) const;
  /// They are done.
  void drop(Elements elements);

 private:
  struct Held {
    Piece piece;
    std::uint64_t first = 0;
    std::uint64_t size = 0;
    std::uint64_t left = 0;  ///< that are not done
    [[nodiscard]] std::uint64_t weight_each() const;
  };

  static std::uint64_t bytes_of(const Piece& piece);
  [[nodiscard]] std::size_t index_of(std::uint64_t element) const;
  [[nodiscard]] const Held& find(std::uint64_t element) const { return pieces_[index_of(element)]; }
  static Elements common(const Held& held, Elements elements);
  static std::span<const std::byte> bytes_of(const Held& held, Elements part);

  std::deque<Held> pieces_;  ///< but for done ones in front
  std::uint64_t known_ = 0;
  std::uint64_t held_bytes_ = 0;
};

}  // namespace bulkhead::detail
