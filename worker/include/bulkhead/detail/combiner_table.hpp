// SPDX-License-Identifier: MIT
//
// CombinerTable: keys with a value each, in memory of this process alone. Open addressing by the
// size of the hash: to walk the slots is to walk in the order of hashes, and whatever begins
// with the same bits of hash is one stretch of slots (but for what a full cluster has pushed over
// its end). Whoever adds sees to it that there is room: it grows only where it is told to.
#pragma once

#include <bulkhead/detail/heap_meter.hpp>
#include <bulkhead/detail/key_arena.hpp>
#include <bulkhead/detail/packed_key.hpp>
#include <bulkhead/detail/private_memory.hpp>
#include <bulkhead/detail/run_row.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace bulkhead::detail {

template <class V, class Key = PackedKey>
class CombinerTable {
 public:
  struct Slot {
    Key key;
    std::conditional_t<kInSlot<V>, V, V*> value;
  };

  /// At most so many bytes of slots, and of long keys. The first `skipped` bits of all hashes are
  /// alike: what it is given as a hash is the others, shifted to the front.
  CombinerTable(std::size_t slot_bytes, std::size_t key_bytes, int skipped = 0)
      : skipped_(skipped), keys_(key_bytes), values_(slot_bytes) {
    limit(slot_bytes);
    place(std::min(most_, kFirst));
  }
  CombinerTable(const CombinerTable&) = delete;
  CombinerTable& operator=(const CombinerTable&) = delete;
  ~CombinerTable() { drop_values(); }

  void prefetch(std::uint64_t hash) const {
    const Slot* const slot = slot_of(hash);
    __builtin_prefetch(slot, 1);
    if constexpr (kCacheLine % sizeof(Slot) != 0)  // it may be in two
      __builtin_prefetch(reinterpret_cast<const std::byte*>(slot + 1) - 1, 1);
  }

  /// Adds the value to that of its key by `combine(V& sum, V&& value)`, or places it. False: too
  /// many keys have such a hash, and nothing has happened.
  template <class Combine>
  bool add(Key key, std::uint64_t hash, V& value, Combine& combine) {
    if (!has_room_behind(1)) return false;
    add_from(slot_of(hash), key, value, combine);
    return true;
  }
  /// The same for a batch, of which all are added or none, those of a key in their order. Best if
  /// they have been prefetched. Where a key is not in its first slot, the memory behind that is
  /// asked for, and looked at when there are some of these. Numbers that are larger than that in
  /// their first slot change places with it: most belong to keys that are frequent.
  template <class Combine>
  bool add(const Key* keys, const std::uint64_t* hashes, V* values, std::size_t count,
           Combine& combine) {
    if (!has_room_behind(count)) return false;
    Slot* const slots = slots_;  // values might be members of this, as far as compilers know
    const std::size_t capacity = capacity_;
    std::array<Pushed, 32> pushed;
    std::size_t waiting = 0;
    const auto add_pushed = [&] {
      for (std::size_t i = 0; i < waiting; ++i) {
        const std::size_t pair = pushed[i].pair;
        Slot* const slot = add_from(pushed[i].slot, keys[pair], values[pair], combine);
        if constexpr (std::is_integral_v<V>) {
          if (slot->value > pushed[i].slot->value) std::swap(*slot, *pushed[i].slot);
        }
      }
      waiting = 0;
    };
    for (std::size_t i = 0; i < count; ++i) {
      Slot* const slot = slots + part_of(capacity, hashes[i]);
      if (slot->key == keys[i]) [[likely]] {
        combine(value_of(*slot), std::move(values[i]));
      } else if (slot->key.is_none()) {
        place_in(*slot, keys[i], values[i]);
      } else {
        __builtin_prefetch(reinterpret_cast<const std::byte*>(slot) + kCacheLine, 1);
        pushed[waiting++] = {slot, i};
        if (waiting == pushed.size()) add_pushed();
      }
    }
    add_pushed();
    return true;
  }
  /// The same for a key of 16 bytes and more. False also if there is no room for its bytes.
  template <class Combine>
  bool add_long(std::string_view key, std::uint64_t hash, V& value, Combine& combine) {
    Slot& slot = seek_long(key, hash);
    if (!slot.key.is_none()) {
      combine(value_of(slot), std::move(value));
      return true;
    }
    const PackedKey packed = keep_long(slot, key, hash);
    if (!packed.is_none()) place_in(slot, packed, value);
    return !packed.is_none();
  }

  /// The value of the key, which is V{} if it was not there. Null: too many keys have such a hash.
  V* find_or_place(Key key, std::uint64_t hash) requires kInSlot<V> {
    for (Slot* slot = slot_of(hash);; ++slot) {
      if (slot->key == key) return &slot->value;
      if (slot->key.is_none()) return slot == end_ ? nullptr : place_new(*slot, key);
    }
  }
  /// The same for a key of 16 bytes and more. Null also if there is no room for its bytes.
  V* find_or_place_long(std::string_view key, std::uint64_t hash) requires kInSlot<V> {
    Slot& slot = seek_long(key, hash);
    if (!slot.key.is_none()) return &slot.value;
    const PackedKey packed = keep_long(slot, key, hash);
    return packed.is_none() ? nullptr : place_new(slot, packed);
  }

  [[nodiscard]] std::size_t size() const { return size_; }
  /// Of memory, but for values that are not in slots.
  [[nodiscard]] std::size_t bytes() const { return slot_bytes() + keys_.bytes(); }
  [[nodiscard]] std::size_t slot_bytes() const { return capacity_ * sizeof(Slot); }
  /// Of the system's memory, for long keys.
  [[nodiscard]] std::size_t touched_key_bytes() const { return keys_.touched(); }
  /// From now on it may grow to so many bytes of slots.
  void limit(std::size_t slot_bytes) { most_ = std::max(slot_bytes / sizeof(Slot), kLeast); }
  /// The same for long keys.
  void limit_keys(std::size_t bytes) { keys_.limit(bytes); }
  /// True if values that are not in slots take as much of the heap as there may be of slots. To be
  /// asked whenever some have been added.
  [[nodiscard]] bool has_large_values(std::size_t added) { return values_.is_over(added); }
  /// Where it can grow it is to be fast, else to hold much.
  [[nodiscard]] bool has_room(std::size_t more) const {
    return (size_ + more) * 10 <= capacity_ * (can_grow() ? 7 : 9);
  }
  /// For the bytes of a long key.
  [[nodiscard]] bool has_room_for_key(std::size_t bytes) const { return keys_.has_room(bytes); }
  [[nodiscard]] bool can_grow() const { return capacity_ < most_; }
  /// In the end it is as large as it may be, by whatever steps. Needs no second table: no key's new
  /// slot is before the cluster that it was in, so clusters are moved from the last one on. In each
  /// the keys that came first, the frequent ones, again have the first choice of slots.
  void grow() {
    const std::size_t before = capacity_ + kSlack;
    place(capacity_ * 2 + capacity_ / 4 < most_ ? capacity_ * 2 : most_);
    std::vector<Slot> cluster;
    for (Slot* last = slots_ + before; last != slots_; --last) {
      Slot* first = last;
      while (first != slots_ && !first[-1].key.is_none()) --first;
      cluster.assign(first, last);
      for (Slot* slot = first; slot != last; ++slot) slot->key = Key{};
      for (const Slot& slot : cluster) *free_slot(hash_of(slot)) = slot;
      if (first == slots_) break;
      last = first;
    }
  }

  /// Of a slot's key. A short one's are those of `key`, and valid as long as that.
  [[nodiscard]] std::string_view bytes_of(const PackedKey& key) const {
    if constexpr (Key::kMayBeLong) {
      if (key.is_long()) return keys_.at(key.low);
    }
    return {reinterpret_cast<const char*>(&key), key.size()};
  }
  /// As it was given.
  [[nodiscard]] std::uint64_t hash_of(const Slot& slot) const {
    if constexpr (Key::kMayBeLong) {
      if (slot.key.is_long()) return hash_of_long(keys_.at(slot.key.low)) << skipped_;
    }
    return hash_of_short(slot.key) << skipped_;
  }
  static V& value_of(Slot& slot) {
    if constexpr (kInSlot<V>) {
      return slot.value;
    } else {
      return *slot.value;
    }
  }

  /// Calls `visit(Slot&)` for each key whose hash, as it was given, begins with those bits, in the
  /// order of slots.
  template <class Visit>
  void walk(std::uint64_t prefix, int bits, Visit visit) {
    const bool last = bits == 0 || (prefix + 1) >> bits != 0;
    Slot* const beyond = last ? end_ : first_slot(prefix + 1, bits);
    Slot* slot = first_slot(prefix, bits);
    const auto visit_cluster = [&] {  // keys of other prefixes may be among these
      for (; !slot->key.is_none(); ++slot) {
        if (bits == 0 || hash_of(*slot) >> (64 - bits) == prefix) visit(*slot);
      }
    };
    visit_cluster();
    for (; slot < beyond; ++slot) {
      if (!slot->key.is_none()) visit(*slot);
    }
    visit_cluster();
  }
  /// Puts all keys into the order of their hashes. Nothing may be added until clear().
  void sort() {
    Slot* first = slots_;
    while (first != end_) {
      if (first->key.is_none()) {
        ++first;
        continue;
      }
      Slot* const last = std::find_if(first, end_, [](const Slot& s) { return s.key.is_none(); });
      if (last - first > 1) sort_cluster(first, last);
      first = last;
    }
  }

  /// For hashes of which so many bits are alike. It is as large then as for as many keys as it has
  /// had, or half of them.
  void clear(int skipped) {
    clear();
    skipped_ = skipped;
  }
  void clear() {
    drop_values();
    const std::size_t used = bytes_for(capacity_);
    keys_.clear();
    while (capacity_ > kFirst && size_ * 10 < capacity_ * 2) capacity_ /= 2;
    memory_.wipe(used, bytes_for(capacity_));
    lay_out(capacity_);
    size_ = 0;
    values_.reset();
  }

 private:
  /// A pair of a batch whose key is in this slot or behind it.
  struct Pushed {
    Slot* slot;
    std::size_t pair;
  };

  static constexpr std::ptrdiff_t kCacheLine = 64;
  static constexpr std::size_t kLeast = 1024;
  static constexpr std::size_t kFirst = std::size_t{1} << 12;
  /// Behind the last slot, for clusters there; more than a batch has. About so many keys may have
  /// the same hash.
  static constexpr std::size_t kSlack = 4096;

  /// Slot of a hash: hashes are fractions of 2^64. After D. Lemire, "Fast random integer generation
  /// in an interval" (2019).
  static std::size_t part_of(std::size_t capacity, std::uint64_t hash) {
    return static_cast<std::size_t>(high_product(capacity, hash));
  }
  [[nodiscard]] Slot* slot_of(std::uint64_t hash) const {
    return slots_ + part_of(capacity_, hash);
  }
  [[nodiscard]] Slot* first_slot(std::uint64_t prefix, int bits) const {
    return bits == 0 ? slots_ : slot_of(prefix << (64 - bits));
  }

  static std::size_t bytes_for(std::size_t capacity) {
    return (capacity + kSlack + 1) * sizeof(Slot);
  }
  void place(std::size_t capacity) {
    memory_.grow(bytes_for(capacity));
    lay_out(capacity);
  }
  void lay_out(std::size_t capacity) {
    capacity_ = capacity;
    slots_ = reinterpret_cast<Slot*>(memory_.data());
    end_ = slots_ + capacity + kSlack;
  }
  /// No hash leads behind the first slot of the slack, so if one there is free, all behind it are.
  [[nodiscard]] bool has_room_behind(std::size_t more) const {
    return end_[-static_cast<std::ptrdiff_t>(more)].key.is_none();
  }
  /// Adds to the first slot from there on that is the key's, or free. There must be one.
  template <class Combine>
  Slot* add_from(Slot* slot, Key key, V& value, Combine& combine) {
    for (; slot->key != key; ++slot) {
      if (slot->key.is_none()) {
        place_in(*slot, key, value);
        return slot;
      }
    }
    combine(value_of(*slot), std::move(value));
    return slot;
  }
  void place_in(Slot& slot, Key key, V& value) {
    slot.key = key;
    if constexpr (kInSlot<V>) {
      std::construct_at(&slot.value, std::move(value));
    } else {
      slot.value = new V(std::move(value));
    }
    ++size_;
  }
  /// Of a long key: all but where its bytes lie.
  static std::uint64_t high_of_long(std::uint64_t hash) { return hash | std::uint64_t{0xFF} << 56; }
  /// That of the key, or the free one that it would have.
  Slot& seek_long(std::string_view key, std::uint64_t hash) const {
    Slot* slot = slot_of(hash);
    while (!slot->key.is_none() &&
           !(slot->key.high == high_of_long(hash) && keys_.at(slot->key.low) == key))
      ++slot;
    return *slot;
  }
  /// The key, for a free slot, with its bytes in the arena; none: there is no room.
  PackedKey keep_long(const Slot& slot, std::string_view key, std::uint64_t hash) {
    const std::uint64_t place = &slot == end_ ? KeyArena::kNoRoom : keys_.put(key);
    return place == KeyArena::kNoRoom ? PackedKey{} : PackedKey{place, high_of_long(hash)};
  }
  V* place_new(Slot& slot, Key key) {
    V value{};
    place_in(slot, key, value);
    return &slot.value;
  }
  Slot* free_slot(std::uint64_t hash) {
    Slot* slot = slot_of(hash);
    while (!slot->key.is_none()) ++slot;
    return slot;
  }
  void sort_cluster(Slot* first, Slot* last) {
    std::sort(first, last, [this](const Slot& a, const Slot& b) {
      const std::uint64_t hash_a = hash_of(a);
      const std::uint64_t hash_b = hash_of(b);
      return hash_a != hash_b ? hash_a < hash_b : bytes_of(a.key) < bytes_of(b.key);
    });
  }
  void drop_values() {
    if constexpr (!kInSlot<V>) {
      for (Slot* slot = slots_; slot != end_; ++slot) {
        if (!slot->key.is_none()) delete slot->value;
      }
    }
  }

  std::size_t most_ = 0;  ///< slots
  int skipped_;
  PrivateMemory memory_;
  std::conditional_t<Key::kMayBeLong, KeyArena, NoKeyArena> keys_;
  std::conditional_t<kInSlot<V>, NoHeapMeter, HeapMeter> values_;
  Slot* slots_ = nullptr;
  Slot* end_ = nullptr;       ///< a slot that is always free
  std::size_t capacity_ = 0;  ///< slots, without those behind
  std::size_t size_ = 0;
};

}  // namespace bulkhead::detail
