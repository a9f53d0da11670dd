// SPDX-License-Identifier: MIT
//
// The second phase of a keyed job that does not combine: all values of a key are handed to the
// user's function while they are read.
#pragma once

#include <bulkhead/detail/group_buffer.hpp>
#include <bulkhead/detail/group_merge.hpp>
#include <bulkhead/detail/keyed_reduce.hpp>
#include <bulkhead/values.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace bulkhead::detail {

template <class K, class V, class F>
struct KeyedGroup {
  using R = std::decay_t<std::invoke_result_t<F&, const K&, bulkhead::Values<V>&>>;

  struct Functions {
    F f;
    std::optional<GroupBuffer<V>> buffer{};  ///< of the last partition
  };

  static void* make(const void*, ByteReader& state) {
    return new Functions{decode_callable<F>(state)};
  }
  static void drop(void* object) noexcept { delete static_cast<Functions*>(object); }

  static void call(void* object, TaskCall& task) {
    auto& functions = *static_cast<Functions*>(object);
    const OwnTime time;
    const PartitionTask part(task);
    const KeyedTerms& terms = part.terms;
    if (!functions.buffer) functions.buffer.emplace(terms.list_bytes(), terms.partition_bits);
    part.answer(task, [&](ReduceAnswer& head) {
      functions.buffer->clear();
      const std::shared_ptr<RunFiles> runs = RunFiles::of(part.source);
      const std::shared_ptr<RunFiles> result = RunFiles::of(terms.ticket);
      Partition partition{functions.f, *functions.buffer, part, head, *runs, *result, time};
      return partition.reduce();
    });
  }

  static const Callable& describe() {
    static constexpr Callable callable{&make, &drop, &call, nullptr, 0, false};
    return callable;
  }

 private:
  /// One partition.
  struct Partition {
    F& f;
    GroupBuffer<V>& buffer;
    const PartitionTask& part;
    ReduceAnswer& head;
    RunFiles& runs;
    RunFiles& result;
    const OwnTime& time;
    std::vector<Slice> sorted{};  ///< parts of it that there was no room for, beside the runs

    std::vector<Slice> reduce() {
      SliceReader reader(runs);
      for (const Slice& slice : part.slices) {
        reader.open(slice);
        take_lists(reader);
      }
      buffer.sort();
      head.table_bytes = buffer.bytes();
      if (sorted.empty()) return write(buffer);
      put_aside();
      const std::size_t piece = SliceReader::piece_of(sorted.size(), part.terms.table_bytes);
      head.table_bytes = std::max<std::uint64_t>(head.table_bytes, piece * sorted.size());
      GroupMerge<V> merged(runs, sorted, piece);
      return write(merged);
    }

   private:
    R call(const std::string& bytes, bulkhead::Values<V>& values) {
      const KeyScope key(KeyMark::of<K>(bytes));
      return time.outside([&] { return f(key_of<K>(bytes), values); });
    }
    void take_lists(SliceReader& reader) {
      SliceReader::Record record;
      while (reader.next(record)) {
        if (buffer.add(record.key, record.value)) continue;
        make_room();
        if (!buffer.add(record.key, record.value))
          refuse_large_pair(record.key.size() + record.value.size());
      }
    }
    void make_room() {
      buffer.sort();
      put_aside();
    }
    void put_aside() {
      RunPacker packer(runs);
      buffer.pack(packer);
      for (const Slice& slice : packer.take()) sorted.push_back(slice);
      buffer.clear();
    }
    std::vector<Slice> write(PairRow<V>& pairs) {
      RunPacker packer(result);
      for (; pairs.has_more(); ++head.keys) {
        const std::string bytes(pairs.key());
        bulkhead::Values<V> values(pairs);
        const R reduced = call(bytes, values);
        values.skip_rest();
        const bool is_long = bytes.size() > kLongestShortKey;
        const PackedKey key = is_long ? PackedKey{0, std::uint64_t{0xFF} << 56}
                                      : pack_short(bytes.data(), bytes.size());
        put_result<R>(key, bytes, reduced, part.slice_bytes(), packer);
      }
      if (packer.pending() != 0) packer.end_slice();
      return packer.take();
    }
  };
};

}  // namespace bulkhead::detail
