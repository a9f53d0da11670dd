// SPDX-License-Identifier: MIT
//
// What a worker does of the second phase of a keyed job: it combines what all runs have of a
// partition, and packs the result in the order of the keys' hashes.
#pragma once

#include <bulkhead/detail/callable.hpp>
#include <bulkhead/detail/element_mark.hpp>
#include <bulkhead/detail/key_bytes.hpp>
#include <bulkhead/detail/key_mark.hpp>
#include <bulkhead/detail/keyed_parts.hpp>
#include <bulkhead/detail/keyed_terms.hpp>
#include <bulkhead/detail/run_packer.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace bulkhead::detail {

/// What the argument of such a task is.
struct PartitionTask {
  KeyedTerms terms;
  RunTicket source;           ///< of the runs
  std::vector<Slice> slices;  ///< of all runs

  /// Results are packed in slices of about so many bytes: they may be wanted as a whole.
  [[nodiscard]] std::size_t slice_bytes() const {
    constexpr std::size_t kLeast = std::size_t{64} << 10;
    constexpr std::size_t kMost = std::size_t{4} << 20;
    return std::clamp<std::size_t>(terms.table_bytes / 4, kLeast, kMost);
  }

  explicit PartitionTask(TaskCall& task) {
    task.enter(TaskPhase::decoding);
    terms = task.argument.get<KeyedTerms>();
    source = task.argument.get<RunTicket>();
    const auto count = task.argument.get<std::uint64_t>();
    task.argument.expect(count, sizeof(Slice));
    slices.resize(count);
    task.argument.read(slices.data(), count * sizeof(Slice));
    task.enter(TaskPhase::running);
  }
  /// `reduce(ReduceAnswer&)` makes the slices of the result, and the rest of the answer.
  template <class Reduce>
  void answer(TaskCall& task, Reduce reduce) const {
    try {
      ReduceAnswer head;
      const std::vector<Slice> result = reduce(head);
      task.enter(TaskPhase::encoding);
      head.slices = result.size();
      task.result.put(AnswerKind::done);
      task.result.put(head);
      put_slices(result, task.result);
    } catch (const RunError& error) {
      put_refusal(error, task.result);
    }
  }
};

/// Packs the result of a key.
template <class R>
void put_result(PackedKey key, std::string_view bytes, const R& result, std::size_t slice_bytes,
                RunPacker& packer) {
  bool in_row = false;
  if constexpr (kInSlot<R>) {
    in_row = !key.is_long();
    if (in_row) packer.add_row(key, result);
  }
  if (!in_row) packer.add_record(bytes, result);
  if (packer.pending() >= slice_bytes) packer.end_slice();
}

template <class K, class V, class Reducer, class Finisher>
struct KeyedReduce {
  using Table = CombinerTable<V>;
  using R = std::decay_t<std::invoke_result_t<Finisher&, const K&, V>>;

  struct Functions {
    Reducer reducer;
    Finisher finisher;
    std::optional<Table> table{};  ///< of the last partition
  };

  static void* make(const void*, ByteReader& state) {
    Reducer reducer = decode_callable<Reducer>(state);
    return new Functions{std::move(reducer), decode_callable<Finisher>(state)};
  }
  static void drop(void* object) noexcept { delete static_cast<Functions*>(object); }

  static void call(void* object, TaskCall& task) {
    auto& functions = *static_cast<Functions*>(object);
    const OwnTime time;
    const PartitionTask part(task);
    part.answer(task, [&](ReduceAnswer& head) {
      const std::shared_ptr<RunFiles> runs = RunFiles::of(part.source);
      const std::shared_ptr<RunFiles> result = RunFiles::of(part.terms.ticket);
      Partition partition{*runs, *result, part, functions, head, time};
      return partition.reduce();
    });
  }

  static const Callable& describe() {
    static constexpr Callable callable{&make, &drop, &call, nullptr, 0, false};
    return callable;
  }

 private:
  /// A table that has no room for all keys is filled anew for each half of them, or quarter, and so
  /// on: their hashes' next `bits_` bits are `part_`.
  struct Partition {
    RunFiles& runs;
    RunFiles& result;
    const PartitionTask& task;
    Functions& functions;
    ReduceAnswer& head;
    const OwnTime& time;
    int bits = 0;
    std::uint64_t part = 0;

    std::vector<Slice> reduce() {
      if (!functions.table) functions.table.emplace(task.terms.table_bytes, task.terms.key_bytes);
      Table& table = *functions.table;
      RunPacker packer(result);
      while (part >> bits == 0) {
        table.clear(skipped());
        if (!fill(table)) {
          ++bits;
          if (skipped() > kMostBits)
            throw Error("bulkhead: too many keys of a keyed job have the same hash");
          part *= 2;
          continue;
        }
        write(table, packer);
        head.keys += table.size();
        head.table_bytes = std::max<std::uint64_t>(head.table_bytes, table.bytes());
        ++part;
      }
      return packer.take();
    }

   private:
    static constexpr int kMostBits = 32;
    /// Parts that are made for large values: one of them may be too large by itself.
    static constexpr int kMostForValues = 4;
    static constexpr std::uint64_t kBatch = 64;

    /// Bits that the hashes of all keys in the table begin with.
    [[nodiscard]] int skipped() const { return task.terms.partition_bits + bits; }
    [[nodiscard]] bool is_of_part(std::uint64_t hash) const {
      return bits == 0 || hash << task.terms.partition_bits >> (64 - bits) == part;
    }
    /// False: there are too many keys.
    bool fill(Table& table) {
      SliceReader reader(runs);
      for (const Slice& slice : task.slices) {
        reader.open(slice);
        if constexpr (kInSlot<V>) {
          if (!add_rows(table, reader)) return false;
        }
        SliceReader::Record record;
        while (reader.next(record)) {
          if (!add_record(table, record)) return false;
        }
      }
      return true;
    }
    /// The user's code, in the user's time.
    auto combiner() {
      return [this](V& sum, V&& value) {
        if constexpr (kBuiltIn<Reducer> && std::is_arithmetic_v<V>) {
          functions.reducer(sum, std::move(value));
        } else {
          time.outside([&] { functions.reducer(sum, std::move(value)); });
        }
      };
    }
    bool add_rows(Table& table, SliceReader& reader) {
      auto combine = combiner();
      PackedKey keys[kBatch];
      std::uint64_t hashes[kBatch];
      V values[kBatch];
      for (;;) {
        std::size_t size = 0;
        while (size < kBatch) {
          const std::byte* const row = reader.row(RowCodec<V>::kMost);
          if (row == nullptr) break;
          reader.step(
              static_cast<std::size_t>(RowCodec<V>::get(row, keys[size], values[size]) - row));
          const std::uint64_t hash = hash_of_short(keys[size]);
          if (!is_of_part(hash)) continue;
          hashes[size] = hash << skipped();
          table.prefetch(hashes[size++]);
        }
        if (size == 0) return true;
        if (!make_room(table, size)) return false;
        if (!table.add(keys, hashes, values, size, combine)) return false;
      }
    }
    bool add_record(Table& table, const SliceReader::Record& record) {
      const bool is_long = record.key.size() > kLongestShortKey;
      const PackedKey key =
          is_long ? PackedKey{} : pack_short(record.key.data(), record.key.size());
      const std::uint64_t hash = is_long ? hash_of_long(record.key) : hash_of_short(key);
      if (!is_of_part(hash)) return true;
      if (!make_room(table, 1)) return false;
      if (bits < kMostForValues && table.has_large_values(1) && table.size() > 1) return false;
      SpanReader in(record.value);
      V value = Codec<V>::decode(in);
      auto combine = combiner();
      return is_long ? table.add_long(record.key, hash << skipped(), value, combine)
                     : table.add(key, hash << skipped(), value, combine);
    }
    static bool make_room(Table& table, std::size_t more) {
      while (!table.has_room(more)) {
        if (!table.can_grow()) return false;
        table.grow();
      }
      return true;
    }
    void write(Table& table, RunPacker& packer) {
      table.sort();
      table.walk(0, 0, [&](typename Table::Slot& slot) {
        const std::string_view bytes = table.bytes_of(slot.key);
        put_result<R>(slot.key, bytes, finish(bytes, std::move(Table::value_of(slot))),
                      task.slice_bytes(), packer);
      });
      if (packer.pending() != 0) packer.end_slice();
    }
    R finish(std::string_view bytes, V value) {
      if constexpr (std::is_same_v<Finisher, AsItIs>) {
        return value;
      } else {
        const KeyScope key(KeyMark::of<K>(bytes));
        return time.outside([&] { return functions.finisher(key_of<K>(bytes), std::move(value)); });
      }
    }
  };
};

}  // namespace bulkhead::detail
