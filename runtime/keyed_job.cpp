// SPDX-License-Identifier: MIT
#include "runtime/block_plan.hpp"
#include "runtime/whole_answers.hpp"
#include <bulkhead/detail/keyed_job.hpp>
#include <bulkhead/detail/map_job.hpp>
#include <bulkhead/error.hpp>

#include <algorithm>
#include <deque>
#include <exception>
#include <utility>

namespace bulkhead::detail {
namespace {

/// The answer of one task, whole: pieces of it are put together.
class WholeAnswers : public Job {
 public:
  explicit WholeAnswers(const KeyedCallable& callable) : callable_(callable) {}

  [[nodiscard]] Describe describe() const final { return callable_.describe; }
  [[nodiscard]] bool has_state() const final { return callable_.has_state; }
  void encode_state(ByteWriter& out) const final { callable_.encode_state(out); }
  [[nodiscard]] bool stops_at_failure() const final { return false; }
  void attach(std::uint64_t, std::shared_ptr<const TaskOutput>) final {}

  Settled decode(RingReader& answers, std::uint32_t callable, TaskRange tasks) final {
    return take_whole(answers, callable, tasks,
                      [this](std::uint64_t task, const auto& bytes) { return take(task, bytes); });
  }
  std::unique_ptr<LargeResult> receive(std::uint64_t task) final {
    const auto take_it = [this, task](const auto& bytes) { return take(task, bytes); };
    return std::make_unique<PiecedAnswer<decltype(take_it)>>(take_it);
  }
  Encoded encode(TaskSink& sink, std::uint32_t callable, TaskRange tasks) final {
    Encoded encoded;
    for (; encoded.accepted < tasks.count; ++encoded.accepted) {
      const std::uint64_t task = tasks.first + encoded.accepted;
      if (!wants(task)) {
        let_go(task);
        encoded.failed = true;
        encoded.kind = std::nullopt;
        break;
      }
      if (!sink.put_written(callable, task, [&](SpillWriter& out) { encode_argument(task, out); }))
        break;
    }
    return encoded;
  }

 protected:
  /// Throws if the bytes make no sense.
  virtual void accept(std::uint64_t task, ByteReader& answer) = 0;
  /// It has not been run, and is not wanted.
  virtual void let_go(std::uint64_t task) = 0;

 private:
  Settled take(std::uint64_t task, std::span<const std::byte> bytes) {
    try {
      SpanReader in(bytes);
      accept(task, in);
      if (in.available() != 0) throw DecodeError("the answer is longer than it should be");
      return {1, 0, 0, false};
    } catch (...) {
      fail(task, local_failure(element_of(task, kNoElement), kWhileDecoding));
      return {1, 1, task, false};
    }
  }

  const KeyedCallable& callable_;
};

/// Those of a task that is given out now.
KeyedTerms at_present(KeyedTerms terms, RunStore& store) {
  terms.file = store.choose();
  terms.ticket = store.ticket();
  return terms;
}

std::vector<Slice> get_slices(ByteReader& in, std::uint64_t count) {
  in.expect(count, sizeof(Slice));
  std::vector<Slice> slices(count);
  in.read(slices.data(), count * sizeof(Slice));
  return slices;
}

class MapPhase final : public WholeAnswers {
 public:
  MapPhase(const KeyedCallable& callable, const KeyedTerms& terms, RunStore& store,
           PieceSource& source, bool singly)
      : WholeAnswers(callable), terms_(terms), store_(store), source_(source), singly_(singly) {}

  Supply supply(std::uint64_t wanted) override {
    while (plan_.known() < wanted && advance()) {
    }
    const bool all_drawn = ended_ || plan_.has_failed();
    const bool complete = all_drawn && plan_.open() == 0 && plan_.next(known()).count == 0;
    return {plan_.known(), complete || error_ != nullptr, error_ != nullptr};
  }
  [[nodiscard]] std::uint64_t horizon() const override {
    return plan_.has_failed() ? plan_.known() : Job::horizon();
  }
  void encode_argument(std::uint64_t task, ByteWriter& out) const override {
    const BlockPlan::Block& block = *plan_.find(task);
    const Elements pieces = block.only ? Elements{*block.only, 1} : block.pieces;
    out.put(at_present(terms_, store_));
    out.put(pieces.first);
    out.put(pieces.count);
    for (std::uint64_t piece = pieces.first; piece != pieces.end(); ++piece) {
      const std::vector<std::byte>& argument = piece_at(piece).argument;
      out.write(argument.data(), argument.size());
    }
  }
  void fail(std::uint64_t task, Failure failure) override {
    if (plan_.find(task) == nullptr) return;
    if (!lowest_ || failure.task() < lowest_->task()) lowest_.emplace(std::move(failure));
    plan_.fail(task, true);
  }
  [[nodiscard]] std::uint64_t element_of(std::uint64_t task, std::uint64_t claimed) const override {
    const BlockPlan::Block* const block = plan_.find(task);
    if (block == nullptr) return task;
    const Elements pieces = block->pieces;
    return claimed >= pieces.first && claimed < pieces.end() ? claimed : pieces.first;
  }
  [[nodiscard]] std::string place_of(std::uint64_t piece) const override {
    return piece >= first_ && piece < known() ? piece_at(piece).name : std::string();
  }
  void narrow(std::uint64_t task, std::uint64_t piece, bool again) override {
    plan_.narrow(task, piece, again);
  }
  [[nodiscard]] bool wants(std::uint64_t task) const override { return plan_.is_wanted(task); }
  [[nodiscard]] Progress progress(const Progress& tasks) const override {
    return {report_.pieces, tasks.failed, ended_ ? std::optional(known()) : std::nullopt};
  }

  MapReport take_report() {
    std::ranges::stable_sort(report_.runs, {}, &SealedRun::first);
    return std::move(report_);
  }
  /// Throws what the phase ended with, if not with a report.
  void raise(const RunReport& report) {
    if (error_) std::rethrow_exception(error_);
    if (report.given_up) {
      if (report.given_up->kind == FailureKind::not_run) throw BrokenPool(report.given_up->message);
      given_up_failure(*report.given_up, 0).raise();
    }
    if (lowest_) lowest_->raise();
  }

 private:
  /// A block is at most this part of what is left, but for the last ones, which are that part of a
  /// full one. How many workers there are does not count, so that the same blocks come of it.
  static constexpr std::uint64_t kParts = 16;
  /// Pieces are drawn no further ahead of those that are done.
  static constexpr std::uint64_t kMostPieces = 100'000;

  [[nodiscard]] std::uint64_t known() const { return first_ + pieces_.size(); }
  [[nodiscard]] const Piece& piece_at(std::uint64_t piece) const { return pieces_[piece - first_]; }

  /// Makes another block, if there can be one.
  bool advance() {
    Elements next = plan_.next(known());
    const std::uint64_t wanted = block_weight();
    if (!plan_.has_leftovers() && !plan_.has_failed()) {
      try {
        draw(wanted, next);
      } catch (...) {
        error_ = std::current_exception();
        return false;
      }
    }
    if (next.count == 0) return false;
    std::uint64_t count = 0;
    for (std::uint64_t weight = 0; count != next.count && weight < wanted; ++count) {
      weight += std::max<std::uint64_t>(piece_at(next.first + count).weight, 1);
    }
    plan_.give(count);
    return true;
  }
  std::uint64_t block_weight() const {
    if (singly_) return 1;
    const std::optional<std::uint64_t> all = source_.weight();
    if (!all) return terms_.commit_bytes;
    const std::uint64_t left = *all > drawn_ ? *all - drawn_ : 0;
    return std::clamp<std::uint64_t>(left / kParts, terms_.commit_bytes / kParts + 1,
                                     terms_.commit_bytes);
  }
  void draw(std::uint64_t wanted, Elements& next) {
    std::uint64_t weight = 0;
    for (std::uint64_t i = 0; i != next.count && weight < wanted; ++i)
      weight += std::max<std::uint64_t>(piece_at(next.first + i).weight, 1);
    while (!ended_ && weight < wanted && pieces_.size() < kMostPieces) {
      std::optional<Piece> piece = source_.next();
      ended_ = !piece;
      if (ended_) break;
      drawn_ += piece->weight;
      weight += std::max<std::uint64_t>(piece->weight, 1);
      pieces_.push_back(std::move(*piece));
      done_.push_back(false);
      ++next.count;
    }
  }

  void accept(std::uint64_t task, ByteReader& answer) override {
    const Elements pieces = plan_.find(task)->pieces;
    const auto emitted = answer.get<std::uint64_t>();
    const auto count = answer.get<std::uint64_t>();
    for (std::uint64_t run = 0; run < count; ++run) {
      report_.runs.push_back(
          {pieces.first, get_slices(answer, std::uint64_t{1} << terms_.partition_bits)});
    }
    report_.emitted += emitted;
    report_.pieces += pieces.count;
    for (std::uint64_t piece = pieces.first; piece != pieces.end(); ++piece) {
      report_.bytes += piece_at(piece).weight;
      done_[piece - first_] = true;
    }
    for (; !done_.empty() && done_.front(); ++first_) {
      done_.pop_front();
      pieces_.pop_front();
    }
    plan_.finish(task);
  }
  void let_go(std::uint64_t task) override { plan_.finish(task); }

  const KeyedTerms& terms_;
  RunStore& store_;
  PieceSource& source_;
  const bool singly_;  ///< a block is one piece
  BlockPlan plan_;
  std::deque<Piece> pieces_;  ///< from first_ on
  std::deque<bool> done_;
  std::uint64_t first_ = 0;
  std::uint64_t drawn_ = 0;  ///< bytes
  bool ended_ = false;
  std::exception_ptr error_;
  std::optional<Failure> lowest_;
  MapReport report_;
};

class ReducePhase final : public WholeAnswers {
 public:
  ReducePhase(const KeyedCallable& callable, const KeyedTerms& terms, RunStore& store,
              const std::vector<SealedRun>& runs)
      : WholeAnswers(callable),
        terms_(terms),
        store_(store),
        runs_(runs),
        partitions_(std::size_t{1} << terms.partition_bits) {}

  Supply supply(std::uint64_t) override { return {partitions_.size(), true, false}; }
  void encode_argument(std::uint64_t task, ByteWriter& out) const override {
    out.put(at_present(terms_, store_));
    out.put(static_cast<std::uint64_t>(runs_.size()));
    for (const SealedRun& run : runs_) out.put(run.slices[task]);
  }
  void fail(std::uint64_t task, Failure failure) override {
    if (!lowest_ || task < lowest_->task()) lowest_.emplace(std::move(failure));
  }
  [[nodiscard]] bool wants(std::uint64_t task) const override {
    return !lowest_ || task < lowest_->task();
  }

  std::vector<std::vector<Slice>> take(const RunReport& report) {
    if (report.given_up) {
      if (report.given_up->kind == FailureKind::not_run) throw BrokenPool(report.given_up->message);
      given_up_failure(*report.given_up, 0).raise();
    }
    if (lowest_) lowest_->raise();
    return std::move(partitions_);
  }

 private:
  void accept(std::uint64_t task, ByteReader& answer) override {
    const auto count = answer.get<std::uint64_t>();
    partitions_[task] = get_slices(answer, count);
  }
  void let_go(std::uint64_t) override {}

  const KeyedTerms& terms_;
  RunStore& store_;
  const std::vector<SealedRun>& runs_;
  std::vector<std::vector<Slice>> partitions_;
  std::optional<Failure> lowest_;
};

}  // namespace

MapReport run_map_phase(Engine& engine, const KeyedCallable& callable, const KeyedTerms& terms,
                        RunStore& store, PieceSource& source, const CallOptions& options) {
  // A time limit is that of a piece.
  MapPhase phase(callable, terms, store, source, options.timeout.has_value());
  const RunReport report = engine.run(phase, options);
  phase.raise(report);
  return phase.take_report();
}

std::vector<std::vector<Slice>> run_reduce_phase(Engine& engine, const KeyedCallable& callable,
                                                 const KeyedTerms& terms, RunStore& store,
                                                 const std::vector<SealedRun>& runs,
                                                 const CallOptions& options) {
  ReducePhase phase(callable, terms, store, runs);
  const RunReport report = engine.run(phase, options);
  return phase.take(report);
}

}  // namespace bulkhead::detail
