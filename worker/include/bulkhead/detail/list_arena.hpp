// SPDX-License-Identifier: MIT
//
// ListArena: the bytes of many lists that grow, in memory of this process alone. Those of a list
// lie in chunks, the later the larger.
//
//   A chunk:   bytes of room (u32) | where the next one is (u32), in units | room
#pragma once

#include <bulkhead/detail/private_memory.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

namespace bulkhead::detail {

struct ListPlace {
  std::uint32_t first = 0;  ///< chunk, in units; 0: there is none
  std::uint32_t last = 0;
  std::uint32_t size = 0;  ///< of the last chunk
  std::uint32_t left = 0;  ///< bytes of it that are free
  std::uint64_t bytes = 0;
};

class ListArena {
 public:
  explicit ListArena(std::size_t bytes) : memory_(std::clamp(bytes, kLeast, kMost)) {}

  /// Surely enough for so many bytes in so many appends.
  [[nodiscard]] bool has_room(std::size_t bytes, std::size_t appends) const {
    return memory_.size() - used_ >= 2 * bytes + appends * (kLargest + kHead + kUnit);
  }
  void prefetch(const ListPlace& list) const { __builtin_prefetch(end_of(list), 1); }
  void append(ListPlace& list, std::span<const std::byte> data) {
    list.bytes += data.size();
    if (list.left < data.size()) [[unlikely]] {
      const std::size_t fits = list.left;
      put(list, data.first(fits));
      data = data.subspan(fits);
      add_chunk(list, data.size());
    }
    put(list, data);
  }
  /// The same, faster.
  template <std::size_t kSize>
  void append(ListPlace& list, const std::byte* data) {
    if (list.left < kSize) [[unlikely]]
      return append(list, std::span(data, kSize));
    std::memcpy(end_of(list), data, kSize);
    list.left -= static_cast<std::uint32_t>(kSize);
    list.bytes += kSize;
  }
  /// Calls `use(std::span<const std::byte>)` with the bytes of the list, a chunk at a time.
  template <class Use>
  void for_each(const ListPlace& list, Use use) const {
    std::uint64_t left = list.bytes;
    for (std::uint32_t at = list.first; left != 0;) {
      const Head head = head_at(at);
      const auto used = static_cast<std::size_t>(std::min<std::uint64_t>(left, head.size));
      use(std::span<const std::byte>(chunk_at(at) + kHead, used));
      left -= used;
      at = head.next;
    }
  }
  [[nodiscard]] std::size_t bytes() const { return used_; }
  void clear() { used_ = kUnit; }

 private:
  struct Head {
    std::uint32_t size;
    std::uint32_t next;
  };
  static constexpr std::size_t kUnit = 8;
  static constexpr std::size_t kHead = sizeof(Head);
  static constexpr std::size_t kSmallest = 16;
  static constexpr std::size_t kLargest = 1024;  ///< unless a value is larger
  static constexpr std::size_t kLeast = std::size_t{256} << 10;
  static constexpr std::size_t kMost = (std::size_t{1} << 32) * kUnit;

  [[nodiscard]] std::byte* chunk_at(std::uint32_t at) const {
    return memory_.data() + std::size_t{at} * kUnit;
  }
  [[nodiscard]] Head head_at(std::uint32_t at) const {
    Head head;
    std::memcpy(&head, chunk_at(at), sizeof head);
    return head;
  }
  void set_head(std::uint32_t at, Head head) { std::memcpy(chunk_at(at), &head, sizeof head); }
  [[nodiscard]] std::byte* end_of(const ListPlace& list) const {
    return chunk_at(list.last) + kHead + (list.size - list.left);
  }
  void put(ListPlace& list, std::span<const std::byte> data) {
    if (data.empty()) return;
    std::memcpy(end_of(list), data.data(), data.size());
    list.left -= static_cast<std::uint32_t>(data.size());
  }
  void add_chunk(ListPlace& list, std::size_t least) {
    const std::size_t usual = std::clamp<std::size_t>(2 * list.size, kSmallest, kLargest);
    const std::size_t size = (std::max(usual, least) + kUnit - 1) / kUnit * kUnit;
    const auto at = static_cast<std::uint32_t>(used_ / kUnit);
    used_ += kHead + size;
    set_head(at, {static_cast<std::uint32_t>(size), 0});
    if (list.first == 0) {
      list.first = at;
    } else {
      set_head(list.last, {list.size, at});
    }
    list.last = at;
    list.size = list.left = static_cast<std::uint32_t>(size);
  }

  PrivateMemory memory_;
  std::size_t used_ = kUnit;
};

}  // namespace bulkhead::detail
