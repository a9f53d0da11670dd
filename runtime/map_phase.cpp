// SPDX-License-Identifier: MIT
#include "runtime/block_plan.hpp"
#include "runtime/held_pieces.hpp"
#include "runtime/keyed_phase.hpp"

#include <algorithm>
#include <chrono>
#include <exception>
#include <utility>

namespace bulkhead::detail {
namespace {

/// Where the blocks begin may show in a result that is not exact: so their size does not depend on
/// how many workers there are, nor on how long they take. This is enough for some dozen. If it is
/// not known how much there is, each block is at most this part of what came before.
constexpr std::uint64_t kParts = 64;
/// Of the memory for the job: blocks of elements that travel through this process, and all of those
/// that are on their way.
constexpr std::uint64_t kTravellingPart = 64;
constexpr std::uint64_t kHeldPart = 8;
/// The most of such blocks; and where the result is not exact, as how much memory there is changes.
constexpr std::uint64_t kTravellingBlock = std::uint64_t{4} << 20;
constexpr std::uint64_t kSteadyBlock = std::uint64_t{8} << 20;
/// Where a table is full shows in such a result, too: so its size depends neither on how many
/// workers there are nor, but in little memory, on how much of that.
constexpr std::uint64_t kTableBytes = std::uint64_t{12} << 20;
constexpr std::uint64_t kTablePart = 128;
/// To pack what is in a byte of a table, to have it there again, and to combine it twice.
constexpr std::chrono::nanoseconds kCostOfByte{2};
/// Of what a block has left somebody takes as much as takes the one, or all that takes less than
/// the other.
using Nanoseconds = std::chrono::duration<double, std::nano>;
constexpr Nanoseconds kShare = std::chrono::milliseconds(500);
constexpr Nanoseconds kLeastShare = std::chrono::milliseconds(50);
/// Failures that are kept.
constexpr std::size_t kMostSkipped = 1000;

class MapPhase final : public KeyedPhase {
 public:
  MapPhase(const KeyedCallable& callable, const KeyedPlan& plan, RunStore& store,
           PieceSource& source, std::uint64_t workers, KeyedReport& report)
      : KeyedPhase(callable, plan, store),
        source_(source),
        workers_(workers),
        parts_(plan.is_exact ? workers : kParts),
        report_(report) {}

  Supply supply(std::uint64_t wanted) override {
    while (blocks_.known() < wanted && advance()) {
    }
    const bool all_drawn = ended_ || blocks_.has_failed();
    const bool complete =
        all_drawn && blocks_.open() == 0 && blocks_.next(pieces_.known()).count == 0;
    return {blocks_.known(), complete || has_error(), has_error()};
  }
  [[nodiscard]] std::uint64_t horizon() const override {
    return blocks_.has_failed() ? blocks_.known() : Job::horizon();
  }
  void fail(std::uint64_t task, Failure failure) override {
    if (blocks_.find(task) == nullptr) return;
    const std::uint64_t element = failure.task();
    if (plan_.skips_failed) {
      ++report_.stats.skipped;
      if (report_.skipped.size() < kMostSkipped) report_.skipped.push_back(std::move(failure));
      pieces_.drop({element, 1});
    } else if (!lowest_ || element < lowest_->task()) {
      lowest_.emplace(std::move(failure));
    }
    blocks_.fail(task, !plan_.skips_failed);
  }
  [[nodiscard]] std::uint64_t element_of(std::uint64_t task, std::uint64_t claimed) const override {
    const BlockPlan::Block* const block = blocks_.find(task);
    if (block == nullptr) return task;
    const Elements pieces = block->pieces;
    return claimed >= pieces.first && claimed < pieces.end() ? claimed : pieces.first;
  }
  [[nodiscard]] std::string place_of(std::uint64_t element) const override {
    return pieces_.name_of(element);
  }
  void narrow(std::uint64_t task, std::uint64_t element, bool again) override {
    if (again) ++report_.stats.retried;
    // Where blocks show in the result, the same one is tried again.
    if (!again || plan_.is_exact) blocks_.narrow(task, element, again);
  }
  [[nodiscard]] double left_of(std::uint64_t task, std::uint64_t claimed) const override {
    const BlockPlan::Block* const block = blocks_.find(task);
    if (!plan_.is_exact || block == nullptr || block->only) return 0;
    const Elements pieces = block->pieces;
    const std::uint64_t left = pieces.end() - element_of(task, claimed);
    return left == 1 ? 0 : static_cast<double>(left) / static_cast<double>(pieces.count);
  }
  [[nodiscard]] std::chrono::nanoseconds cost_of_ending_early() const override {
    return kCostOfByte * largest_table_;
  }
  [[nodiscard]] bool wants(std::uint64_t task) const override { return blocks_.is_wanted(task); }
  [[nodiscard]] Progress progress(const Progress& tasks) const override {
    Progress all;
    all.elapsed = tasks.elapsed;
    all.done = report_.stats.pieces + report_.stats.skipped;
    all.failed = tasks.failed;
    if (ended_) all.total = pieces_.known();
    all.bytes = report_.stats.input_bytes;
    all.total_bytes = source_.weight();
    all.pairs = report_.stats.emitted;
    all.spilled = store_.bytes_on_disk();
    all.partitions = std::uint64_t{1} << plan_.terms.partition_bits;
    return all;
  }

  void finish(const RunReport& report) {
    raise(report);
    if (lowest_) lowest_->raise();
    std::ranges::stable_sort(report_.runs, {}, &SealedRun::first);
    std::ranges::sort(report_.skipped, {}, &Failure::task);
    Progress ended;
    ended.failed = report_.stats.skipped;
    report_.mapped = progress(ended);
    report_.stats.runs = report_.runs.size();
  }

 private:
  /// Makes another block, if there can be one.
  bool advance() {
    if (blocks_.open() != 0 && pieces_.held_bytes() > plan_.memory / kHeldPart) return false;
    if (blocks_.has_leftovers()) {
      blocks_.give(share_of(blocks_.next(pieces_.known()).count));
      return true;
    }
    const std::uint64_t elements = most_elements();
    const std::uint64_t weight = most_weight();
    if (!blocks_.has_failed()) {
      try {
        draw(elements, weight);
      } catch (...) {
        end_with(std::current_exception());
        return false;
      }
    }
    const Elements next = blocks_.next(pieces_.known());
    if (next.count == 0) return false;
    blocks_.give(std::min(pieces_.count_of(next, weight), elements));
    return true;
  }
  /// Of what a block has left: as much as takes some time, by what was done last, and half of it at
  /// the most, unless that is not worth it.
  [[nodiscard]] std::uint64_t share_of(std::uint64_t elements) const {
    const auto time = each_ * static_cast<double>(elements);
    if (!plan_.is_exact || time < kLeastShare) return elements;
    const auto some = static_cast<std::uint64_t>(kShare / each_);
    return std::clamp<std::uint64_t>(some, 1, (elements + 1) / 2);
  }
  /// Of the next block.
  [[nodiscard]] std::uint64_t most_elements() const {
    const bool is_steady = !plan_.is_exact && !source_.weight();
    return is_steady ? blocks_.next(0).first / kParts + 1 : kNoElement;
  }
  [[nodiscard]] std::uint64_t most_weight() const {
    const std::uint64_t commit = plan_.terms.commit_bytes;
    if (const auto all = source_.weight()) return std::min(*all / parts_ + 1, commit);
    return plan_.is_exact
               ? std::min({commit, kTravellingBlock, plan_.memory / kTravellingPart + 1})
               : std::min({commit, kSteadyBlock, plan_.steady_memory / kTravellingPart + 1});
  }
  void draw(std::uint64_t elements, std::uint64_t wanted) {
    const Elements at_hand = blocks_.next(pieces_.known());
    std::uint64_t weight = pieces_.weight_of(at_hand);
    for (std::uint64_t count = at_hand.count; !ended_ && weight < wanted && count < elements;) {
      std::optional<Piece> piece = source_.next();
      ended_ = !piece;
      if (ended_) break;
      count += piece->size();
      weight += std::max(piece->weight, piece->size());
      pieces_.add(std::move(*piece));
    }
  }

  void encode_part(std::uint64_t task, ByteWriter& out) const override {
    const BlockPlan::Block& block = *blocks_.find(task);
    const Elements pieces = block.only ? Elements{*block.only, 1} : block.pieces;
    out.put(pieces.first);
    out.put(pieces.count);
    pieces_.for_each(
        pieces, [&](std::span<const std::byte> bytes) { out.write(bytes.data(), bytes.size()); });
  }
  void accept(std::uint64_t task, ByteReader& answer) override {
    KeyedStats& stats = report_.stats;
    const Elements pieces = blocks_.find(task)->pieces;
    const auto head = answer.get<MapAnswer>();
    const bool may_be =
        plan_.is_exact ? head.elements - 1 < pieces.count : head.elements == pieces.count;
    if (!may_be) throw DecodeError("a block of which so much cannot have been done");
    const Elements done{pieces.first, head.elements};
    std::vector<SealedRun> runs;
    for (std::uint64_t run = 0; run < head.runs; ++run) {
      runs.push_back(
          {pieces.first, get_slices(answer, std::uint64_t{1} << plan_.terms.partition_bits)});
    }
    const auto counters = Codec<Counters>::decode(answer);
    expect_end(answer);
    for (SealedRun& run : runs) {
      for (const Slice& slice : run.slices) stats.run_bytes += slice.bytes;
      report_.runs.push_back(std::move(run));
    }
    for (const auto& [name, count] : counters) report_.counters[name] += count;
    stats.emitted += head.emitted;
    stats.sealed += head.sealed;
    stats.pieces += done.count;
    stats.input_bytes += pieces_.weight_of(done);
    const std::uint64_t possible = plan_.terms.table_bytes + plan_.terms.key_bytes;
    largest_table_ = std::max(largest_table_, std::min(head.table_bytes, possible));
    note_memory();
    each_ = Nanoseconds(std::clamp<double>(static_cast<double>(head.nanoseconds), 1, 1e18)) /
            static_cast<double>(done.count);
    blocks_.finish(task, done.count);
    pieces_.drop(done);
  }
  void note_memory() {
    const std::uint64_t tables = largest_table_ * std::min(blocks_.open(), workers_);
    const std::uint64_t now = store_.bytes(kInMemory) + tables + pieces_.held_bytes();
    report_.stats.peak_bytes = std::max(report_.stats.peak_bytes, now);
  }
  void let_go(std::uint64_t task) override { blocks_.finish(task); }
  void do_again(std::uint64_t task) override { blocks_.give_back(task); }

  PieceSource& source_;
  const std::uint64_t workers_;
  const std::uint64_t parts_;  ///< a block is at most this part of all
  KeyedReport& report_;
  BlockPlan blocks_;
  HeldPieces pieces_;
  bool ended_ = false;
  std::uint64_t largest_table_ = 0;  ///< bytes
  Nanoseconds each_{0};              ///< that an element of the last block has taken
  std::optional<Failure> lowest_;
};

KeyedPlan with_fixed_tables(KeyedPlan plan) {
  const std::uint64_t most =
      std::min({kTableBytes, plan.steady_memory / kTablePart, plan.most_of_tables / 4 * 3});
  plan.terms.table_bytes = most;
  plan.terms.key_bytes = most / 3;
  return plan;
}

}  // namespace

void run_map_phase(Engine& engine, const KeyedCallable& callable, const KeyedPlan& plan,
                   RunStore& store, PieceSource& source, const CallOptions& options,
                   KeyedReport& report) {
  const auto workers = static_cast<std::uint64_t>(engine.workers());
  const KeyedPlan its_plan = plan.is_exact ? plan : with_fixed_tables(plan);
  MapPhase phase(callable, its_plan, store, source, workers, report);
  phase.finish(engine.run(phase, options));
}

}  // namespace bulkhead::detail
