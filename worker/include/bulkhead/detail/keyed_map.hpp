// SPDX-License-Identifier: MIT
//
// What a worker does of the first phase of a keyed job: it maps a block of pieces into memory of
// its own, and packs that into runs.
#pragma once

#include <bulkhead/detail/callable.hpp>
#include <bulkhead/detail/element_mark.hpp>
#include <bulkhead/detail/emitter.hpp>
#include <bulkhead/detail/group_emitter.hpp>
#include <bulkhead/detail/keyed_parts.hpp>
#include <bulkhead/detail/keyed_terms.hpp>

#include <cstdint>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

namespace bulkhead::detail {

/// `Reader` reads a piece: read(TaskCall&, use) calls `use` with each item of it.
template <class K, class V, class Mapper, class Combiner, class Reader>
struct KeyedMap {
  static constexpr bool kCombines = !std::is_same_v<Combiner, NoCombiner>;
  using Collection = std::conditional_t<kCombines, CombinerTable<V>, GroupBuffer<V>>;

  struct Functions {
    Mapper mapper;
    Combiner combiner;
    Reader reader{};
    std::optional<Collection> collection{};
  };

  static void* make(const void*, ByteReader& state) {
    Mapper mapper = decode_callable<Mapper>(state);
    return new Functions{std::move(mapper), decode_callable<Combiner>(state)};
  }
  static void drop(void* object) noexcept { delete static_cast<Functions*>(object); }

  static void call(void* object, TaskCall& task) {
    auto& functions = *static_cast<Functions*>(object);
    task.enter(TaskPhase::decoding);
    const auto terms = task.argument.get<KeyedTerms>();
    const auto first = task.argument.get<std::uint64_t>();
    const auto count = task.argument.get<std::uint64_t>();
    if (!functions.collection) functions.collection.emplace(terms.table_bytes, terms.key_bytes);
    Collection& collection = *functions.collection;
    const EmptyAtTheEnd emptied(collection);
    RunFiles& files = RunFiles::of(terms.ticket);
    std::vector<Slice> runs;
    const auto seal = [&] {
      const std::vector<Slice> run = pack(collection, terms.partition_bits, files, terms.file);
      runs.insert(runs.end(), run.begin(), run.end());
      collection.clear();
    };
    const std::uint64_t emitted = collect(functions, task, first, count, seal);
    task.enter(TaskPhase::encoding);
    if (collection.size() != 0) seal();
    task.result.put(emitted);
    task.result.put(static_cast<std::uint64_t>(runs.size()) >> terms.partition_bits);
    put_slices(runs, task.result);
  }

  static const Callable& describe() {
    static constexpr Callable callable{&make, &drop, &call, nullptr, 0, true};
    return callable;
  }

 private:
  /// Maps the pieces; how many pairs came of them.
  template <class Seal>
  static std::uint64_t collect(Functions& functions, TaskCall& task, std::uint64_t first,
                               std::uint64_t count, const Seal& seal) {
    ElementMark mark(first);
    const auto map_all = [&](auto& emit) {
      for (std::uint64_t piece = first; piece != first + count; ++piece) {
        mark.begin(piece);
        functions.reader.read(task, [&](auto&& item) { functions.mapper(item, emit); });
      }
      emit.flush();
      return emit.emitted();
    };
    if constexpr (kCombines) {
      auto combine = [&functions](V& sum, V&& value) { functions.combiner(sum, std::move(value)); };
      constexpr bool kOnes = std::is_same_v<Combiner, Count>;
      Emitter<K, V, kOnes, decltype(combine), Seal> emit(*functions.collection, combine, seal);
      return map_all(emit);
    } else {
      GroupEmitter<K, V, Seal> emit(*functions.collection, seal);
      return map_all(emit);
    }
  }

  /// Nothing of a block that threw is left for the next one.
  class EmptyAtTheEnd {
   public:
    explicit EmptyAtTheEnd(Collection& collection) : collection_(collection) {}
    EmptyAtTheEnd(const EmptyAtTheEnd&) = delete;
    EmptyAtTheEnd& operator=(const EmptyAtTheEnd&) = delete;
    ~EmptyAtTheEnd() {
      if (collection_.size() != 0) collection_.clear();
    }

   private:
    Collection& collection_;
  };
};

}  // namespace bulkhead::detail
