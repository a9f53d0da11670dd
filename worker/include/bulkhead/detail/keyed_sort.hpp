// SPDX-License-Identifier: MIT
//
// What a worker does where a result is wanted in the order of its keys: it sorts a slice.
#pragma once

#include <bulkhead/detail/callable.hpp>
#include <bulkhead/detail/key_order.hpp>
#include <bulkhead/detail/keyed_reduce.hpp>
#include <bulkhead/detail/run_store.hpp>
#include <bulkhead/detail/slice_merge.hpp>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

namespace bulkhead::detail {

/// Packs the pairs of the slice as another one, in the order of their keys.
template <class K, class V>
void sort_slice(RunFiles& unsorted, const Slice& slice, RunPacker& packer) {
  struct Place {
    std::uint64_t order;
    std::uint32_t pair;
  };
  std::vector<std::pair<K, V>> pairs;
  std::vector<Place> places;
  SliceMerge<V> merge(unsorted, slice);
  while (merge.next([&](std::string_view key, V value) {
    pairs.emplace_back(key_of<K>(key), std::move(value));
    places.push_back({order_of(pairs.back().first), static_cast<std::uint32_t>(places.size())});
  })) {
  }
  std::ranges::sort(places, [&pairs](const Place& a, const Place& b) {
    return a.order != b.order ? a.order < b.order : pairs[a.pair].first < pairs[b.pair].first;
  });
  for (const Place& place : places) {
    const std::pair<K, V>& pair = pairs[place.pair];
    with_bytes<K>(pair.first,
                  [&](std::string_view bytes) { packer.add_record(bytes, pair.second); });
  }
  packer.end_slice();
}

/// The same for all slices, in this process. Throws SystemError.
template <class K, class V>
std::vector<Slice> sort_here(RunFiles& unsorted, const std::vector<Slice>& slices,
                             RunStore& store) {
  std::vector<Slice> sorted;
  RunFiles files(store.ticket());
  for (auto slice = slices.begin(); slice != slices.end();) {
    files.renew(store.ticket_to_write());
    try {
      RunPacker packer(files);
      sort_slice<K, V>(unsorted, *slice, packer);
      sorted.push_back(packer.take().front());
      ++slice;
    } catch (const RunError& error) {
      if (error.job() != store.ticket().job || !store.give_up(error.file(), error.error_number()))
        throw;
    }
  }
  return sorted;
}

template <class K, class V>
struct KeyedSort {
  static void* make(const void*, ByteReader&) { return nullptr; }
  static void drop(void*) noexcept {}

  static void call(void*, TaskCall& task) {
    const OwnTime time;
    const PartitionTask part(task);
    part.answer(task, [&](ReduceAnswer&) {
      const std::shared_ptr<RunFiles> unsorted = RunFiles::of(part.source);
      const std::shared_ptr<RunFiles> sorted = RunFiles::of(part.terms.ticket);
      RunPacker packer(*sorted);
      for (const Slice& slice : part.slices) sort_slice<K, V>(*unsorted, slice, packer);
      return packer.take();
    });
  }

  static const Callable& describe() {
    static constexpr Callable callable{&make, &drop, &call, nullptr, 0, false};
    return callable;
  }
};

}  // namespace bulkhead::detail
