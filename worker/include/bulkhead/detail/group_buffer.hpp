// SPDX-License-Identifier: MIT
//
// GroupBuffer: pairs as they were emitted, until they are put into the order of their keys' hashes.
// Those of one key stay in the order in which they came.
#pragma once

#include <bulkhead/codec.hpp>
#include <bulkhead/detail/combiner_table.hpp>
#include <bulkhead/detail/run_packer.hpp>
#include <bulkhead/error.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace bulkhead::detail {

/// Keys of the same hash: short ones come first, then by their bytes.
inline bool is_before(bool a_is_long, std::string_view a, bool b_is_long, std::string_view b) {
  return a_is_long != b_is_long ? b_is_long : a < b;
}

template <class V>
class GroupBuffer {
 public:
  /// At most so many bytes of pairs; and of long keys, and of values that are not plain.
  GroupBuffer(std::size_t pair_bytes, std::size_t other_bytes)
      : items_(std::max(pair_bytes, kLeast * sizeof(Item))),
        most_(std::max(pair_bytes / sizeof(Item), kLeast)),
        others_(std::max(other_bytes, kLeast * 64)) {}
  GroupBuffer(const GroupBuffer&) = delete;
  GroupBuffer& operator=(const GroupBuffer&) = delete;

  /// False: there is no room, and nothing has happened. Throws if there would be none in an empty
  /// one either.
  bool add(std::string_view key, const V& value) {
    if (size_ == most_) return false;
    Item item{};
    item.order = static_cast<std::uint32_t>(size_);
    if (key.size() > kLongestShortKey) {
      item.hash = hash_of_long(key);
      item.key = {put(key), std::uint64_t{0xFF} << 56};
      if (item.key.low == KeyArena::kNoRoom) return false;
    } else {
      item.key = pack_short(key.data(), key.size());
      item.hash = hash_of_short(item.key);
    }
    if constexpr (kInSlot<V>) {
      item.value = value;
    } else {
      item.value = put_encoded(value);
      if (item.value == KeyArena::kNoRoom) return false;
    }
    std::construct_at(items() + size_++, item);
    return true;
  }
  [[nodiscard]] std::size_t size() const { return size_; }
  void clear() {
    size_ = 0;
    others_.clear();
  }

  /// All pairs, as a run: a slice for each of 2^bits partitions.
  friend std::vector<Slice> pack(GroupBuffer& buffer, int bits, RunFiles& files, RunFile file) {
    return buffer.pack_all(bits, files, file);
  }

 private:
  struct Item {
    std::uint64_t hash;
    PackedKey key;
    std::conditional_t<kInSlot<V>, V, std::uint64_t> value;  ///< or where it is, encoded
    std::uint32_t order;
  };
  static constexpr std::size_t kLeast = 1024;

  std::vector<Slice> pack_all(int bits, RunFiles& files, RunFile file) {
    const std::span<Item> all(items(), size_);
    std::sort(all.begin(), all.end(),
              [this](const Item& a, const Item& b) { return before(a, b); });
    RunPacker packer(files, file);
    std::uint64_t partition = 0;
    for (const Item& item : all) {
      for (; partition != item.hash >> (64 - bits); ++partition) packer.end_slice();
      pack(item, packer);
    }
    for (; partition >> bits == 0; ++partition) packer.end_slice();
    return packer.take();
  }

  [[nodiscard]] Item* items() const { return reinterpret_cast<Item*>(items_.data()); }
  std::uint64_t put(std::string_view bytes) {
    const std::uint64_t place = others_.put(bytes);
    if (place == KeyArena::kNoRoom && size_ == 0)
      throw Error("bulkhead: a key and its value of " + std::to_string(bytes.size()) +
                  " bytes and more are too large for the memory of a keyed job");
    return place;
  }
  std::uint64_t put_encoded(const V& value) {
    std::array<std::byte, 256> memory;
    SpillWriter out(memory);
    Codec<V>::encode(value, out);
    if (!out.spilled()) return put({reinterpret_cast<const char*>(memory.data()), out.size()});
    const std::vector<std::byte> bytes = out.take();
    return put({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
  }
  [[nodiscard]] std::string_view bytes_of(const Item& item) const {
    if (item.key.is_long()) return others_.at(item.key.low);
    return {reinterpret_cast<const char*>(&item.key), item.key.size()};
  }
  [[nodiscard]] bool before(const Item& a, const Item& b) const {
    if (a.hash != b.hash) return a.hash < b.hash;
    if (a.key == b.key) return a.order < b.order;
    const std::string_view key_a = bytes_of(a);
    const std::string_view key_b = bytes_of(b);
    if (a.key.is_long() && b.key.is_long() && key_a == key_b) return a.order < b.order;
    return is_before(a.key.is_long(), key_a, b.key.is_long(), key_b);
  }
  void pack(const Item& item, RunPacker& packer) {
    if constexpr (kInSlot<V>) {
      if (!item.key.is_long()) return packer.add_row(item.key, item.value);
      packer.add_record(bytes_of(item), item.value);
    } else {
      packer.put_record(bytes_of(item), std::as_bytes(std::span(others_.at(item.value))));
    }
  }

  PrivateMemory items_;
  const std::size_t most_;
  KeyArena others_;
  std::size_t size_ = 0;
};

}  // namespace bulkhead::detail
