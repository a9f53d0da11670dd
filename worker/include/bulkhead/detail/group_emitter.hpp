// SPDX-License-Identifier: MIT
//
// What a mapper calls with each key and value, where all values of a key are to be kept.
#pragma once

#include <bulkhead/detail/key_bytes.hpp>
#include <bulkhead/detail/keyed_terms.hpp>
#include <bulkhead/detail/partition_buffer.hpp>

#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>

namespace bulkhead::detail {

/// `Seal` empties the buffer.
template <class K, class V, class Seal>
class GroupEmitter {
 public:
  GroupEmitter(PartitionBuffer<V>& buffer, const Seal& seal, Counters& counters)
      : buffer_(buffer), seal_(seal), counters_(counters) {}
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
  /// Adds to one of the job's own counters: see KeyedResult::counters().
  void count(const std::string& name, std::uint64_t more = 1) { counters_[name] += more; }
  [[nodiscard]] std::uint64_t emitted() const { return emitted_; }

 private:
  PartitionBuffer<V>& buffer_;
  const Seal& seal_;
  Counters& counters_;
  std::uint64_t emitted_ = 0;
};

}  // namespace bulkhead::detail
