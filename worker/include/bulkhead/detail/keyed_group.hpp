// SPDX-License-Identifier: MIT
//
// The second phase of a keyed job that does not combine: all values of a key are handed to the
// user's function while they are read.
#pragma once

#include <bulkhead/detail/keyed_reduce.hpp>
#include <bulkhead/values.hpp>

#include <string>
#include <type_traits>
#include <utility>

namespace bulkhead::detail {

template <class K, class V, class F>
struct KeyedGroup {
  using R = std::decay_t<std::invoke_result_t<F&, const K&, bulkhead::Values<V>&>>;

  static void* make(const void*, ByteReader& state) { return new F(decode_callable<F>(state)); }
  static void drop(void* object) noexcept { delete static_cast<F*>(object); }

  static void call(void* object, TaskCall& task) {
    auto& f = *static_cast<F*>(object);
    const PartitionTask part(task);
    RunFiles& files = RunFiles::of(part.terms.ticket);
    GroupMerge<V> pairs(files, part.slices,
                        SliceReader::piece_of(part.slices.size(), part.terms.table_bytes));
    RunPacker packer(files, part.terms.file);
    while (pairs.has_more()) {
      const std::string bytes(pairs.key());
      bulkhead::Values<V> values(pairs);
      const R result = f(key_of<K>(bytes), values);
      values.skip_rest();
      const bool is_long = bytes.size() > kLongestShortKey;
      const PackedKey key = is_long ? PackedKey{0, std::uint64_t{0xFF} << 56}
                                    : pack_short(bytes.data(), bytes.size());
      put_result<R>(key, bytes, result, packer);
    }
    if (packer.pending() != 0) packer.end_slice();
    PartitionTask::answer(task, packer.take());
  }

  static const Callable& describe() {
    static constexpr Callable callable{&make, &drop, &call, nullptr, 0, false};
    return callable;
  }
};

}  // namespace bulkhead::detail
