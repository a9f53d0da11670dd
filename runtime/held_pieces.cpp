// SPDX-License-Identifier: MIT
#include "runtime/held_pieces.hpp"

#include <algorithm>
#include <utility>

namespace bulkhead::detail {

std::uint64_t HeldPieces::Held::weight_each() const {
  return std::max<std::uint64_t>(piece.weight / size, 1);
}

std::uint64_t HeldPieces::bytes_of(const Piece& piece) {
  return piece.argument.size() + piece.ends.size() * sizeof piece.ends[0];
}

void HeldPieces::add(Piece piece) {
  held_bytes_ += bytes_of(piece);
  const std::uint64_t size = piece.size();
  pieces_.push_back({std::move(piece), known_, size, size});
  known_ += size;
}

std::uint64_t HeldPieces::count_of(Elements elements, std::uint64_t weight) const {
  std::uint64_t at = elements.first;
  for (std::uint64_t got = 0; at != elements.end() && got < weight;) {
    const Held& held = find(at);
    const std::uint64_t each = held.weight_each();
    const std::uint64_t wanted = (weight - got + each - 1) / each;
    const std::uint64_t count = std::min(common(held, {at, elements.end() - at}).count, wanted);
    got += count * each;
    at += count;
  }
  return at - elements.first;
}

std::uint64_t HeldPieces::weight_of(Elements elements) const {
  std::uint64_t weight = 0;
  for (std::uint64_t at = elements.first; at != elements.end();) {
    const Held& held = find(at);
    const Elements part = common(held, {at, elements.end() - at});
    weight += part.count == held.size ? held.piece.weight : part.count * held.weight_each();
    at = part.end();
  }
  return weight;
}

std::string HeldPieces::name_of(std::uint64_t element) const {
  if (pieces_.empty() || element < pieces_.front().first || element >= known_) return {};
  return find(element).piece.name;
}

void HeldPieces::drop(Elements elements) {
  for (std::uint64_t at = elements.first; at != elements.end();) {
    Held& held = pieces_[index_of(at)];
    const Elements part = common(held, {at, elements.end() - at});
    held.left -= part.count;
    at = part.end();
    if (held.left != 0) continue;
    held_bytes_ -= bytes_of(held.piece);
    held.piece.argument = {};
    held.piece.ends = {};
  }
  while (!pieces_.empty() && pieces_.front().left == 0) pieces_.pop_front();
}

std::size_t HeldPieces::index_of(std::uint64_t element) const {
  const auto behind = std::ranges::upper_bound(pieces_, element, {}, &Held::first);
  return static_cast<std::size_t>(behind - pieces_.begin()) - 1;
}

Elements HeldPieces::common(const Held& held, Elements elements) {
  const std::uint64_t end = std::min(elements.end(), held.first + held.size);
  return {elements.first, end - elements.first};
}

std::span<const std::byte> HeldPieces::bytes_of(const Held& held, Elements part) {
  const std::span<const std::byte> all = held.piece.argument;
  if (held.piece.ends.empty()) return all;
  const auto end_of = [&](std::uint64_t element) {
    return element == held.first
               ? std::size_t{0}
               : held.piece.ends[static_cast<std::size_t>(element - held.first - 1)];
  };
  return all.subspan(end_of(part.first), end_of(part.end()) - end_of(part.first));
}

}  // namespace bulkhead::detail
