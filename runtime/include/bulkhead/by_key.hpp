// SPDX-License-Identifier: MIT
//
// Keyed map-reduce: word counts, group by, histograms.
//
//   auto counts = pool.map_reduce_by_key<std::string, std::uint64_t>(
//       text("corpus/*.txt"),
//       [](std::string_view lines, auto& emit) { for (auto word : words(lines)) emit(word); },
//       sum);
//   for (const auto& [word, count] : counts) ...
#pragma once

#include <bulkhead/compression.hpp>
#include <bulkhead/detail/keyed_checks.hpp>
#include <bulkhead/detail/keyed_group.hpp>
#include <bulkhead/detail/keyed_job.hpp>
#include <bulkhead/detail/keyed_map.hpp>
#include <bulkhead/detail/keyed_reduce.hpp>
#include <bulkhead/detail/range_pieces.hpp>
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
#include <vector>

namespace bulkhead {

struct KeyedOptions {
  /// Bytes that tables, runs and the result may take in memory, all together; what is more is
  /// spilled. Default: a quarter of what the machine, or the cgroup, has left, and no more than
  /// half of what the workers may have by Limits::memory. Tables are kept well below that in any
  /// case.
  std::optional<std::uint64_t> memory = std::nullopt;
  /// Folders on disks, at most eight, which are written to in turn; one that is full is left alone
  /// from then on. Files there have no names, and are gone with the result. None: a job that needs
  /// more memory fails.
  std::vector<std::string> spill = std::vector<std::string>(1, "/var/tmp");
  /// Bytes that may be spilled, but for what several workers write at the same moment.
  std::optional<std::uint64_t> spill_limit = std::nullopt;
  /// How what is spilled is compressed: `lz4` of bulkhead/lz4.hpp, `zstd` of bulkhead/zstd.hpp. It
  /// pays where disks are slow, or small. Null: not at all.
  CompressionMethod compress = nullptr;
  /// What a worker has done of the input is safe from its death after about so many bytes, and, but
  /// for values that are no integers, after a second or two.
  std::uint64_t commit_interval = std::uint64_t{256} << 20;
  /// An element of the input (a part of a text, a file, an element of a range) that fails is left
  /// out, with all that it has emitted, and named by KeyedResult::skipped(). Otherwise the job
  /// ends, and throws the failure.
  bool skip_failed = false;
  /// Further attempts at elements that fail; those in `call` count, too, if there are more.
  Retries retries = {.crashes = 2};
  /// As for map(). A time limit is that of an element, or of a key in the end; progress counts
  /// elements, and then parts of the keys.
  CallOptions call = {};
};

namespace detail {

/// Throws InvalidArgument.
void check(const KeyedOptions& options);
/// Of both phases.
[[nodiscard]] CallOptions call_options(const KeyedOptions& options);
/// How the workers divide the memory.
[[nodiscard]] KeyedPlan plan_of(const KeyedOptions& options, const Engine& engine);

template <class K, class V, class Reader, class Mapper, class Reducer>
KeyedResult<K, KeyedValue<K, V, Reducer>> run_keyed(Engine& engine, PieceSource& source,
                                                    const Mapper& mapper, const Reducer& reducer,
                                                    const KeyedOptions& options) {
  using Parts = ReducerParts<Reducer>;
  using Combiner = typename Parts::Combiner;
  using Finisher = typename Parts::Finisher;
  constexpr bool kGroups = std::is_same_v<Combiner, NoCombiner>;
  using Reduce = std::conditional_t<kGroups, KeyedGroup<K, V, Finisher>,
                                    KeyedReduce<K, V, Combiner, Finisher>>;
  check(options);
  KeyedPlan plan = plan_of(options, engine);
  plan.is_exact = kExact<V, Combiner>;
  const KeyedCallable map{&KeyedMap<K, V, Mapper, Combiner, Reader>::describe, true,
                          [&](ByteWriter& out) {
                            encode_callable(mapper, out);
                            encode_callable(Parts::combiner(reducer), out);
                          }};
  const KeyedCallable reduce{&Reduce::describe, true,
                             [&](ByteWriter& out) {
                               if constexpr (!kGroups)
                                 encode_callable(Parts::combiner(reducer), out);
                               encode_callable(Parts::finisher(reducer), out);
                             },
                             "the reduction"};
  KeyedRun run = run_phases(engine, map, reduce, plan, source, call_options(options));
  return {std::move(run), std::move(plan), engine.own()};
}

template <class K, class V>
struct KeyedCall {
  using Options = KeyedOptions;

  template <class Input, class Mapper, class Reducer>
  static auto run(Engine& engine, Input& input, const Mapper& mapper, const Reducer& reducer,
                  const KeyedOptions& options) {
    if constexpr (requires { typename std::remove_const_t<Input>::Reader; }) {
      using Reader = typename std::remove_const_t<Input>::Reader;
      if constexpr (require_keyed_types<K, V, typename Reader::Item, Mapper, Reducer>()) {
        const auto source = input.pieces();
        return run_keyed<K, V, Reader>(engine, *source, mapper, reducer, options);
      }
    } else {
      static_assert(std::ranges::input_range<Input>,
                    "bulkhead: the input of a keyed job is a range, or one of text(), files(), "
                    "records() and another keyed job's result");
      using Reader = RangeReader<std::ranges::range_value_t<Input>>;
      if constexpr (require_keyed_types<K, V, typename Reader::Item, Mapper, Reducer>()) {
        RangePieces<Input> source(input);
        return run_keyed<K, V, Reader>(engine, source, mapper, reducer, options);
      }
    }
  }
};

}  // namespace detail
}  // namespace bulkhead
