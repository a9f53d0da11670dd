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

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

namespace bulkhead::detail {

/// `Reader` reads a piece: read(TaskCall&, use) calls `use` with each item of it.
template <class K, class V, class Mapper, class Combiner, class Reader>
struct KeyedMap {
  static constexpr bool kCombines = !std::is_same_v<Combiner, NoCombiner>;
  /// The combiner is the user's, and may fail: then what an element gave is combined before the
  /// next one is looked at.
  static constexpr bool kBlamesElement =
      kCombines && !(kBuiltIn<Combiner> && std::is_arithmetic_v<V>);
  using Collection = std::conditional_t<kCombines, MapTables<V>, ListTable<V>>;

  struct Functions {
    Mapper mapper;
    Combiner combiner;
    Reader reader{};
    std::optional<Collection> collection{};
    Counters counters{};
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
    if (!functions.collection) make_collection(functions, terms);
    const EmptyAtTheEnd emptied(*functions.collection);
    const std::shared_ptr<RunFiles> files = RunFiles::of(terms.ticket);
    Runs runs(*functions.collection, terms, *files);
    const Collected collected = collect(functions, task, runs);
    task.enter(TaskPhase::encoding);
    runs.seal_rest();
    if (runs.error) return put_refusal(*runs.error, task.result);
    task.result.put(AnswerKind::done);
    task.result.put(MapAnswer{collected.elements, collected.time.count(), runs.count,
                              collected.pairs, runs.sealed, runs.most_bytes});
    put_slices(runs.slices, task.result);
    Codec<Counters>::encode(functions.counters, task.result);
  }

  static const Callable& describe() {
    static constexpr Callable callable{&make, &drop, &call, nullptr, 0, true};
    return callable;
  }

 private:
  /// Those of a block.
  struct Runs {
    Collection& collection;
    const KeyedTerms& terms;
    RunFiles& files;
    std::vector<Slice> slices{};
    std::uint64_t count = 0;
    std::uint64_t sealed = 0;
    std::uint64_t most_bytes = 0;
    std::optional<RunError> error{};  ///< the mapper may have caught it

    Runs(Collection& of, const KeyedTerms& its_terms, RunFiles& its_files)
        : collection(of), terms(its_terms), files(its_files) {}
    void seal() {
      const OwnTime time;
      if (error) throw RunError(*error);
      try {
        const std::vector<Slice> run = pack(collection, terms.partition_bits, files);
        slices.insert(slices.end(), run.begin(), run.end());
      } catch (const RunError& caught) {
        error = caught;
        throw;
      }
      ++count;
      sealed += collection.size();
      most_bytes = std::max<std::uint64_t>(most_bytes, collection.bytes());
      collection.clear();
    }
    void seal_rest() {
      if (collection.size() == 0 || error) return;
      try {
        seal();
      } catch (const RunError&) {  // it is in `error`
      }
    }
  };

  static void make_collection(Functions& functions, const KeyedTerms& terms) {
    if constexpr (kCombines) {
      functions.collection.emplace(terms.table_bytes, terms.key_bytes);
    } else {
      functions.collection.emplace(terms.list_bytes());
    }
  }

  struct Collected {
    std::uint64_t elements = 0;
    std::uint64_t pairs = 0;  ///< that came of them
    std::chrono::nanoseconds time{};
  };
  /// Maps the elements, or the first of them if others are to do the rest.
  static Collected collect(Functions& functions, TaskCall& task, Runs& runs) {
    const auto first = task.argument.get<std::uint64_t>();
    const auto count = task.argument.get<std::uint64_t>();
    functions.counters.clear();
    ElementMark mark(first);
    const auto map_all = [&](auto& emit) {
      const auto began = std::chrono::steady_clock::now();
      std::uint64_t element = first;
      do {
        mark.begin(element);
        functions.reader.read(
            task, [&](auto&& item) { functions.mapper(std::forward<decltype(item)>(item), emit); });
        if constexpr (kBlamesElement) emit.flush();
        emit.require_whole();
      } while (++element != first + count && !mark.is_to_end());
      emit.flush();
      return Collected{element - first, emit.emitted(), std::chrono::steady_clock::now() - began};
    };
    const auto seal = [&runs] { runs.seal(); };
    try {
      if constexpr (kCombines) {
        auto combine = [&functions](V& sum, V&& value) {
          functions.combiner(sum, std::move(value));
        };
        constexpr bool kOnes = std::is_same_v<Combiner, Count>;
        Emitter<K, V, kOnes, kExact<V, Combiner>, decltype(combine), decltype(seal)> emit(
            *functions.collection, combine, seal, functions.counters);
        return map_all(emit);
      } else {
        GroupEmitter<K, V, decltype(seal)> emit(*functions.collection, seal, functions.counters);
        return map_all(emit);
      }
    } catch (const RunError&) {
      return {};
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
