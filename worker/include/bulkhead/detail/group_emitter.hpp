// SPDX-License-Identifier: MIT
//
// What a mapper calls with each key and value, where all values of a key are to be kept.
#pragma once

#include <bulkhead/detail/group_buffer.hpp>
#include <bulkhead/detail/key_bytes.hpp>

#include <cstdint>
#include <string_view>
#include <type_traits>

namespace bulkhead::detail {

/// `Seal` empties the buffer.
template <class K, class V, class Seal>
class GroupEmitter {
 public:
  GroupEmitter(GroupBuffer<V>& buffer, const Seal& seal) : buffer_(buffer), seal_(seal) {}
  GroupEmitter(const GroupEmitter&) = delete;
  GroupEmitter& operator=(const GroupEmitter&) = delete;

  template <class Key>
  void operator()(const Key& key, const V& value) {
    with_bytes<K>(key, [&](std::string_view bytes) {
      while (!buffer_.add(bytes, value)) seal_();
    });
    ++emitted_;
  }
  /// A one.
  template <class Key>
    requires std::is_arithmetic_v<V>
  void operator()(const Key& key) { (*this)(key, V{1}); }

  void flush() {}
  [[nodiscard]] std::uint64_t emitted() const { return emitted_; }

 private:
  GroupBuffer<V>& buffer_;
  const Seal& seal_;
  std::uint64_t emitted_ = 0;
};

}  // namespace bulkhead::detail
