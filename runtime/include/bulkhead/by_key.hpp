// SPDX-License-Identifier: MIT
//
// Keyed map-reduce: word counts, group by, histograms.
//
//   auto counts = map_reduce_by_key<std::string, std::uint64_t>(
//       pool, text("corpus/*.txt"),
//       [](std::string_view lines, auto& emit) { for (auto word : words(lines)) emit(word); },
//       sum);
//   for (const auto& [word, count] : counts) ...
#pragma once

#include <bulkhead/detail/keyed_group.hpp>
#include <bulkhead/detail/keyed_job.hpp>
#include <bulkhead/detail/keyed_map.hpp>
#include <bulkhead/detail/keyed_reduce.hpp>
#include <bulkhead/inputs.hpp>
#include <bulkhead/keyed_result.hpp>
#include <bulkhead/pool.hpp>
#include <bulkhead/reducers.hpp>
#include <bulkhead/text.hpp>

#include <cstdint>
#include <memory>
#include <optional>
#include <ranges>
#include <string>
#include <type_traits>
#include <utility>

namespace bulkhead {

struct KeyedOptions {
  /// Bytes that tables, runs and the result may take in memory, all together; what is more goes to
  /// `spill`. Default: a quarter of what the machine, or the cgroup, has left.
  std::optional<std::uint64_t> memory = std::nullopt;
  /// A folder on a disk. Files there have no names, and are gone with the result.
  std::string spill = "/var/tmp";
  /// What a worker has done of the input is safe from its death after about so many bytes.
  std::uint64_t commit_interval = std::uint64_t{64} << 20;
  /// As for map(), but that a piece whose worker has died is tried twice more. A time limit is that
  /// of a piece, and progress counts those.
  CallOptions call = {.retries = {.crashes = 2}};
};

namespace detail {

/// Throws InvalidArgument. Gives options.memory its default.
[[nodiscard]] KeyedOptions checked(KeyedOptions options);
/// What is meant for the pieces does not count where they are combined.
[[nodiscard]] CallOptions second_phase(CallOptions options);

template <class K, class V, class Reader, class Mapper, class Reducer>
KeyedResult<K, KeyedValue<K, V, Reducer>> run_keyed(Engine& engine, PieceSource& source,
                                                    const Mapper& mapper, const Reducer& reducer,
                                                    const KeyedOptions& given) {
  const KeyedOptions options = checked(given);
  const std::uint64_t memory = *options.memory;
  auto store = std::make_shared<RunStore>(memory / 2, options.spill);
  KeyedTerms terms;
  // A quarter for tables of either phase, and of that a quarter for long keys.
  const std::uint64_t each = memory / 4 / static_cast<std::uint64_t>(engine.workers());
  terms.table_bytes = each / 4 * 3;
  terms.key_bytes = each / 4;
  terms.commit_bytes = options.commit_interval;
  using Parts = ReducerParts<Reducer>;
  using Combiner = typename Parts::Combiner;
  const KeyedCallable map{&KeyedMap<K, V, Mapper, Combiner, Reader>::describe, true,
                          [&](ByteWriter& out) {
                            encode_callable(mapper, out);
                            encode_callable(Parts::combiner(reducer), out);
                          }};
  const MapReport report = run_map_phase(engine, map, terms, *store, source, options.call);
  using Finisher = typename Parts::Finisher;
  constexpr bool kGroups = std::is_same_v<Combiner, NoCombiner>;
  using Reduce = std::conditional_t<kGroups, KeyedGroup<K, V, Finisher>,
                                    KeyedReduce<K, V, Combiner, Finisher>>;
  const KeyedCallable reduce{&Reduce::describe, true, [&](ByteWriter& out) {
                               if constexpr (!kGroups)
                                 encode_callable(Parts::combiner(reducer), out);
                               encode_callable(Parts::finisher(reducer), out);
                             }};
  auto partitions =
      run_reduce_phase(engine, reduce, terms, *store, report.runs, second_phase(options.call));
  const KeyedStats stats{report.pieces,
                         report.bytes,
                         report.emitted,
                         report.runs.size(),
                         store->bytes(RunFile::in_memory),
                         store->bytes(RunFile::on_disk)};
  return {std::move(store), std::move(partitions), stats};
}

template <class K, class V>
struct KeyedCall {
  static_assert(std::is_default_constructible_v<V>,
                "bulkhead: values of map_reduce_by_key have to be default-constructible");

  using Options = KeyedOptions;

  template <class Input, class Mapper, class Reducer>
  static KeyedResult<K, KeyedValue<K, V, Reducer>> run(Engine& engine, Input& input,
                                                       const Mapper& mapper, const Reducer& reducer,
                                                       const KeyedOptions& options) {
    if constexpr (std::is_same_v<std::remove_const_t<Input>, TextInput>) {
      const auto source = input.pieces();
      return run_keyed<K, V, TextReader>(engine, *source, mapper, reducer, options);
    } else {
      RangePieces<Input> source(input);
      using Reader = RangeReader<std::ranges::range_value_t<Input>>;
      return run_keyed<K, V, Reader>(engine, source, mapper, reducer, options);
    }
  }
};

}  // namespace detail
}  // namespace bulkhead
