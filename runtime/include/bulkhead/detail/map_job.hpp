// SPDX-License-Identifier: MIT
//
// MapJob: one call of map, try_map, starmap, apply or fork_map, with all its types. What happens to
// every element is here, in the user's program, so that it can be inlined; all else is behind the
// seam.
#pragma once

#include <bulkhead/codec.hpp>
#include <bulkhead/detail/callable.hpp>
#include <bulkhead/detail/cell.hpp>
#include <bulkhead/detail/exception_record.hpp>
#include <bulkhead/detail/gather.hpp>
#include <bulkhead/detail/job.hpp>
#include <bulkhead/detail/lost_loan.hpp>
#include <bulkhead/detail/source.hpp>
#include <bulkhead/error.hpp>

#include <algorithm>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace bulkhead::detail {

/// Thrown in place of the argument of a task that was cancelled.
class CancelledTask : public std::exception {
 public:
  [[nodiscard]] const char* what() const noexcept override { return "the call was cancelled"; }
};

/// The exception that is being handled, as the failure of a task that no worker is to blame for.
inline Failure local_failure(std::uint64_t task, const char* phase) {
  FailureDetails details;
  try {
    throw;
  } catch (const CancelledTask& cancelled) {
    details.kind = FailureKind::cancelled;
    details.message = cancelled.what();
  } catch (...) {
    details = describe_current_exception();
    details.message.insert(0, phase);
  }
  details.task = task;
  return Failure(std::move(details));
}

inline constexpr const char* kWhileEncoding = "while encoding the argument: ";
inline constexpr const char* kWhileDecoding = "while decoding the result: ";

/// The value that `bytes` encode, no more and no fewer of them. Throws.
template <class R>
Placed<R> decode_whole(std::span<const std::byte> bytes) {
  if constexpr (std::is_void_v<R>) {
    if (!bytes.empty()) throw DecodeError("bytes came where no value was expected");
    return {};
  } else {
    SpanReader in(bytes);
    R value = Codec<R>::decode(in);
    if (!in.exhausted()) throw DecodeError("bytes are left over; encode() and decode() disagree");
    return value;
  }
}

/// Collects the pieces, then decodes.
template <class R>
class PieceBuffer {
 public:
  void add(std::span<const std::byte> bytes) {
    bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
  }
  Placed<R> finish() { return decode_whole<R>(bytes_); }

 private:
  std::vector<std::byte> bytes_;
};

/// An array of plain elements: its bytes go straight into it.
template <BulkCoded R>
class PieceBuffer<R> {
  using Element = typename R::value_type;

 public:
  void add(std::span<const std::byte> bytes) {
    if (prefix_ < sizeof count_) bytes = read_count(bytes);
    if (bytes.empty()) return;
    if (bytes.size() > count_ * sizeof(Element) - filled_) {
      throw DecodeError("more bytes came than the result was said to have");
    }
    const std::size_t end = filled_ + bytes.size();
    if constexpr (sizeof(Element) == 1) {
      const auto* elements = reinterpret_cast<const Element*>(bytes.data());
      value_.insert(value_.end(), elements, elements + bytes.size());
    } else {
      value_.resize((end + sizeof(Element) - 1) / sizeof(Element));
      std::memcpy(reinterpret_cast<std::byte*>(value_.data()) + filled_, bytes.data(),
                  bytes.size());
    }
    filled_ = end;
  }
  R finish() {
    if (prefix_ < sizeof count_ || filled_ != count_ * sizeof(Element)) {
      throw DecodeError("fewer bytes came than the result was said to have");
    }
    return std::move(value_);
  }

 private:
  std::span<const std::byte> read_count(std::span<const std::byte> bytes) {
    const std::size_t step = std::min(bytes.size(), sizeof count_ - prefix_);
    std::memcpy(reinterpret_cast<std::byte*>(&count_) + prefix_, bytes.data(), step);
    prefix_ += step;
    // Addresses only, no memory yet: that comes with the bytes.
    if (prefix_ == sizeof count_) {
      require_possible<Element>(count_);
      value_.reserve(count_);
    }
    return bytes.subspan(step);
  }

  std::uint64_t count_ = 0;
  std::size_t prefix_ = 0;  ///< bytes of count_ that have come
  std::size_t filled_ = 0;
  R value_;
};

template <class Sink, class R>
class PiecedResult final : public LargeResult {
 public:
  PiecedResult(Sink& sink, std::uint64_t task) : sink_(sink), task_(task) {}

  void add(std::span<const std::byte> bytes) override {
    if (failure_) return;
    bytes_ += bytes.size();
    guarded([&] { pieces_.add(bytes); });
  }
  Settled finish() override {
    std::optional<Placed<R>> value;
    try {
      if (!failure_) guarded([&] { value.emplace(pieces_.finish()); });
    } catch (const LostLoan&) {
      return {0, 0, 0, true};
    }
    if (!failure_) guarded([&] { sink_.placed(task_, std::move(*value), bytes_); });
    if (!failure_) return {1, 0, 0, false};
    sink_.fail(task_, std::move(*failure_));
    return {1, 1, task_, false};
  }

 private:
  template <class Step>
  void guarded(Step step) {
    try {
      step();
    } catch (const LostLoan&) {
      throw;
    } catch (...) {
      pieces_ = {};
      failure_.emplace(local_failure(task_, kWhileDecoding));
    }
  }

  Sink& sink_;
  std::uint64_t task_;
  std::uint64_t bytes_ = 0;
  PieceBuffer<R> pieces_;
  std::optional<Failure> failure_;
};

/// `Call` says what runs (see calls.hpp); `Range` where the elements come from; `Gather` where
/// results go.
template <class Call, class Range, class Gather>
class MapJob final : public Job {
 public:
  using R = typename Call::Result;

  MapJob(const Call& call, Range&& range) : call_(call), source_(std::forward<Range>(range)) {}

  /// Runs on `engine`; the calling thread does the work.
  typename Gather::Result run(Engine& engine, const CallOptions& options) {
    expect_results();
    return take(engine.run(*this, options));
  }
  /// Before the job is given to an engine.
  void expect_results() {
    if (const auto size = source_.size()) gather_.expect(*size);
  }
  /// Afterwards. Throws what the call is to throw.
  typename Gather::Result take(const RunReport& report) {
    if (source_error_) std::rethrow_exception(source_error_);
    // Of a call that was given up, elements that were not even drawn have an outcome too.
    const std::uint64_t drawn = report.known;
    const std::uint64_t count =
        report.given_up ? std::max(drawn, source_.size().value_or(drawn)) : drawn;
    return gather_.take(count, report.given_up.get());
  }

  /// Under the engine's lock while the job runs.
  [[nodiscard]] Gather& gather() { return gather_; }
  [[nodiscard]] const Gather& gather() const { return gather_; }

  [[nodiscard]] Describe describe() const override { return call_.describe(); }
  [[nodiscard]] const void* function() const override { return call_.function(); }
  [[nodiscard]] bool has_state() const override { return Call::kHasState; }
  void encode_state(ByteWriter& out) const override { call_.encode_state(out); }
  [[nodiscard]] bool numbers_tasks() const override {
    return !requires {
      Gather::kIsOfSingleCalls;
    };
  }
  [[nodiscard]] std::uint64_t element_of(std::uint64_t task, std::uint64_t) const override {
    return numbers_tasks() ? task : 0;
  }
  [[nodiscard]] bool stops_at_failure() const override { return Gather::kStopsAtFailure; }

  Supply supply(std::uint64_t wanted) override {
    try {
      source_.draw(std::min(wanted, source_.known() + Source<Range>::kMostAtOnce));
    } catch (...) {
      source_error_ = std::current_exception();
      return {source_.known(), true, true};
    }
    return {source_.known(), source_.ended(), false};
  }

  [[nodiscard]] std::uint64_t horizon() const override {
    if constexpr (kWeighs) return gather_.horizon();
    return Job::horizon();
  }

  Encoded encode(TaskSink& sink, std::uint32_t callable, TaskRange tasks) override {
    if constexpr (Call::kRuns) return encode_runs(sink, callable, tasks);
    Encoded encoded;
    for (; encoded.accepted < tasks.count; ++encoded.accepted) {
      const std::uint64_t task = tasks.first + encoded.accepted;
      try {
        if (!Call::put(sink, callable, task, source_)) break;
      } catch (...) {
        refuse(task, encoded);
        break;
      }
    }
    return encoded;
  }

  void encode_argument(std::uint64_t task, ByteWriter& out) const override {
    Call::encode_argument(source_, task, out);
  }

  Settled decode(RingReader& answers, std::uint32_t callable, TaskRange tasks) override {
    Settled settled;
    FrameHeader header;
    const std::byte* payload = nullptr;
    for (; settled.count < tasks.count; ++settled.count) {
      const std::uint64_t task = tasks.first + settled.count;
      if (answers.peek(header, payload) != RingReader::Peek::frame) break;
      if (header.kind == FrameKind::values) {
        const std::uint64_t count = decode_run(answers, header, payload, callable, task,
                                               tasks.count - settled.count, settled);
        if (count == 0) break;
        settled.count += count - 1;
        continue;
      }
      if (header.kind != FrameKind::value || header.more != 0 || header.callable != callable ||
          header.task != task) {
        break;
      }
      try {
        placed(task, decode_whole<R>({payload, header.length}), header.length);
      } catch (const LostLoan&) {
        settled.lost = true;
        break;
      } catch (...) {
        fail(task, local_failure(element_of(task, kNoElement), kWhileDecoding));
        if (settled.failed++ == 0) settled.lowest_failed = task;
      }
      answers.advance();
    }
    return settled;
  }

  std::unique_ptr<LargeResult> receive(std::uint64_t task) override {
    return std::make_unique<PiecedResult<MapJob, R>>(*this, task);
  }

  void fail(std::uint64_t task, Failure failure) override {
    gather_.fail(task, std::move(failure));
    source_.forget(task);
  }
  void attach(std::uint64_t task, std::shared_ptr<const TaskOutput> output) override {
    gather_.attach(task, std::move(output));
  }

  /// `bytes`: of the value as it came.
  void placed(std::uint64_t task, Placed<R> value, std::uint64_t bytes) {
    if constexpr (kWeighs) gather_.weigh(bytes);
    gather_.place(task, std::move(value));
    source_.forget(task);
  }

 private:
  /// Results are counted by their bytes, too: see arrivals.hpp.
  static constexpr bool kWeighs = requires(Gather gather) { gather.weigh(1U); };

  Encoded encode_runs(TaskSink& sink, std::uint32_t callable, TaskRange tasks) {
    Encoded encoded;
    while (encoded.accepted < tasks.count && !encoded.failed) {
      const std::uint64_t first = tasks.first + encoded.accepted;
      const auto [cells, room] = sink.begin_run(tasks.count - encoded.accepted, Call::cell());
      std::uint64_t count = 0;
      try {
        for (; count < room; ++count) {
          Call::fill_cell(cells + count * Call::cell(), source_, first + count);
        }
      } catch (...) {
        refuse(first + count, encoded);
      }
      if (count != 0) sink.finish_run(callable, first, count, Call::cell());
      encoded.accepted += count;
      if (room == 0) break;
    }
    return encoded;
  }

  /// Fails `task` with the exception that is being handled.
  void refuse(std::uint64_t task, Encoded& encoded) {
    Failure failure = local_failure(element_of(task, kNoElement), kWhileEncoding);
    encoded.failed = true;
    encoded.kind = failure.kind();
    fail(task, std::move(failure));
  }

  /// Takes what has come of a run whose next result must be that of task `first`. The number of
  /// results; 0 if it is not, or if there are more than `most`.
  std::uint64_t decode_run(RingReader& answers, const FrameHeader& header, const std::byte* cells,
                           std::uint32_t callable, std::uint64_t first, std::uint64_t most,
                           Settled& settled) {
    if constexpr (kResultFitsCell<R>) {
      constexpr std::uint32_t kCell = kResultCell<R>;
      const std::uint64_t count = header.length / kCell;
      const std::uint64_t next = header.task + answers.offset() / kCell;
      const bool whole = header.more * kFrameAlign == kCell && header.length % kCell == 0 &&
                         answers.offset() % kCell == 0;
      if (!whole || header.callable != callable || next != first || count > most) return 0;
      place_cells(first, cells, count, settled);
      answers.advance();
      return count;
    }
    return 0;
  }

  void place_cells(std::uint64_t first, const std::byte* cells, std::uint64_t count,
                   Settled& settled) {
    for (std::uint64_t i = 0; i < count; ++i, cells += kResultCell<R>) {
      try {
        if constexpr (std::is_void_v<R>) {
          placed(first + i, {}, kResultCell<R>);
        } else {
          std::optional<R> value = get_result<R>(cells, first + i);
          if (!value) throw DecodeError("it was overwritten by another task of its worker");
          placed(first + i, std::move(*value), kResultCell<R>);
        }
      } catch (...) {
        fail(first + i, local_failure(element_of(first + i, kNoElement), kWhileDecoding));
        if (settled.failed++ == 0) settled.lowest_failed = first + i;
      }
    }
  }

  const Call& call_;
  Source<Range> source_;
  Gather gather_;
  std::exception_ptr source_error_;
};

}  // namespace bulkhead::detail
