// SPDX-License-Identifier: MIT
//
// A call whose elements are drawn, and whose results are taken, while it goes on: imap and the
// like. All that is of the user's runs in the thread that asks for the next result, under no lock:
//
//   range ─ draw ─▶ staged ─▶ Parcels ─▶ workers ─▶ Arrivals ─▶ chunk ─ advance ─▶ one result
//                         └ give ── under the engine's lock ── take ┘
#pragma once

#include <bulkhead/detail/arrivals.hpp>
#include <bulkhead/detail/async_call.hpp>
#include <bulkhead/detail/calls.hpp>
#include <bulkhead/detail/intake.hpp>
#include <bulkhead/detail/job.hpp>
#include <bulkhead/detail/map_job.hpp>
#include <bulkhead/detail/parcels.hpp>
#include <bulkhead/options.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <ranges>
#include <utility>
#include <vector>

namespace bulkhead::detail {

/// As seen by who takes the results, which are of type R. One thread at a time.
template <class R>
class StreamState : public PulledCall {
 public:
  explicit StreamState(CallOptions options) : options_(std::move(options)), intake_(options_) {}

  void begin(std::shared_ptr<Pull> pull) { pull_ = std::move(pull); }

  /// Goes on to the next result; false if there is none. Throws NotReady, and what has ended the
  /// stream before the end of its range.
  bool advance(std::optional<std::chrono::nanoseconds> timeout) {
    if (at_ == chunk_.size()) {
      if (!refill(timeout)) return end();
    } else if (intake_.time_to_look()) {
      pull_->tend();
      if (room_ != 0) {
        draw();
        pull_->tend();
      }
    }
    index_ = chunk_[at_++].index;
    intake_.note_taken();
    return true;
  }
  /// Until the next advance().
  [[nodiscard]] Outcome<R>& current() { return chunk_[at_ - 1].outcome; }
  [[nodiscard]] std::uint64_t index() const { return index_; }
  void cancel() { pull_->cancel(); }
  /// Nobody wants its results any more: ends it, and waits for the tasks that run.
  void drop() noexcept {
    if (!pull_) return;
    try {
      if (!over_) cancel();
      range_ended_ = true;
      while (!over_) {
        at_ = chunk_.size();
        pull_->exchange(std::nullopt);
      }
    } catch (...) {  // NOLINT(bugprone-empty-catch): a copy of the process, or the pool's own code
    }
  }

  [[nodiscard]] const CallOptions& options() const final { return options_; }

  void give() final {
    if (finished_) return;  // they will not be run, as if they had not been drawn
    if (!staged_.empty()) parcels_.add(std::exchange(staged_, {}));
    if (range_ended_) parcels_.close();
    parcels_.ask_for(0);
  }
  void take() final {
    room_ = room();
    if (at_ == chunk_.size()) {
      take_into(chunk_);
      at_ = 0;
    }
    over_ = finished_ && chunk_.empty();
  }
  [[nodiscard]] bool wants_exchange() const final {
    return at_ != chunk_.size() || has_arrivals() || room() != 0 || finished_;
  }
  void finish(const RunReport& report, std::exception_ptr) final {
    finished_ = true;
    if (!report.given_up) return;
    given_up_ = *report.given_up;
    for (const std::uint64_t task : parcels_.open()) {
      job().fail(task, given_up_failure(*given_up_, task));
    }
  }

 protected:
  /// Draws up to room_ elements into staged_.
  virtual void draw() = 0;
  /// Number of elements, if it is known without drawing them.
  [[nodiscard]] virtual std::optional<std::uint64_t> size() const = 0;
  virtual void take_into(std::vector<Arrival<R>>& chunk) = 0;
  [[nodiscard]] virtual bool has_arrivals() const = 0;
  /// Of all results that are kept.
  [[nodiscard]] virtual std::uint64_t result_bytes() const = 0;

  const CallOptions options_;
  Intake intake_;
  Parcels parcels_;
  ParcelBatch staged_;  ///< drawn, and not handed over
  std::uint64_t room_ = 0;
  bool range_ended_ = false;
  std::exception_ptr range_error_;

 private:
  [[nodiscard]] std::uint64_t room() const {
    if (range_ended_ || finished_) return 0;
    return intake_.room(parcels_.asked(), parcels_.bytes() + result_bytes());
  }

  /// False if nothing will come any more.
  bool refill(std::optional<std::chrono::nanoseconds> timeout) {
    const auto until = timeout ? std::optional(time_from_now(*timeout)) : std::nullopt;
    while (true) {
      pull_->exchange(until);
      if (!chunk_.empty()) return true;
      if (over_) return fail_undrawn();
      if (room_ != 0) {
        draw();
      } else if (until && Pull::Time::clock::now() >= *until) {
        throw_not_ready(timeout);
      }
    }
  }

  /// If it is known how many elements there would have been, those that a call that was given up
  /// has not drawn fail too. True if there are any.
  bool fail_undrawn() {
    if (!given_up_ || range_error_ || first_undrawn() >= size().value_or(0)) return false;
    chunk_.push_back({first_undrawn(), given_up_failure(*given_up_, first_undrawn())});
    ++undrawn_failed_;
    return true;
  }

  /// All results have been taken.
  bool end() {
    if (range_error_) std::rethrow_exception(std::exchange(range_error_, nullptr));
    const auto why = std::exchange(given_up_, std::nullopt);
    const bool is_whole = size() || (range_ended_ && staged_.empty());
    if (why && !is_whole) raise_given_up(*why, first_undrawn());
    return false;
  }

  /// Of a call that was given up, so that there will be no others.
  [[nodiscard]] std::uint64_t first_undrawn() const { return parcels_.known() + undrawn_failed_; }

  std::shared_ptr<Pull> pull_;
  std::vector<Arrival<R>> chunk_;  ///< results that have been taken from under the lock
  std::size_t at_ = 0;             ///< the next of them
  std::uint64_t index_ = 0;
  bool over_ = false;
  bool finished_ = false;  ///< under the engine's lock
  std::optional<FailureDetails> given_up_;
  std::uint64_t undrawn_failed_ = 0;
};

/// `Range` is a reference for ranges that the caller keeps.
template <class Call, class Function, class Range, class Gather>
class StreamCall final : public StreamState<typename Call::Result> {
  using R = typename Call::Result;
  using Argument = std::ranges::range_value_t<Range>;

 public:
  StreamCall(const Function& function, Range&& range, CallOptions options)
      : StreamState<R>(std::move(options)),
        function_(function),
        call_(function_),
        job_(call_, this->parcels_),
        range_(std::forward<Range>(range)) {}

  [[nodiscard]] Job& job() override { return job_; }

 private:
  void draw() override {
    const auto began = Intake::Clock::now();
    try {
      draw_elements();
    } catch (...) {
      this->range_error_ = std::current_exception();
      this->range_ended_ = true;
    }
    this->intake_.note_drawn(this->staged_.size(), Intake::Clock::now() - began);
  }
  void draw_elements() {
    ParcelBatch& batch = this->staged_;
    if (!next_) next_.emplace(std::ranges::begin(range_));
    while (batch.size() < this->room_ && batch.bytes() < Intake::kMostStepBytes) {
      // Not sooner: some ranges wait for the next element when they are told to go on to it.
      if (std::exchange(is_used_, false)) ++*next_;
      if (*next_ == std::ranges::end(range_)) {
        this->range_ended_ = true;
        return;
      }
      batch.template add<Argument>(**next_);
      is_used_ = true;
    }
  }
  [[nodiscard]] std::optional<std::uint64_t> size() const override {
    if constexpr (std::ranges::sized_range<const Range>) {
      return static_cast<std::uint64_t>(std::ranges::size(range_));
    } else {
      return std::nullopt;
    }
  }
  void take_into(std::vector<Arrival<R>>& chunk) override { job_.gather().take_into(chunk); }
  [[nodiscard]] bool has_arrivals() const override { return job_.gather().any(); }
  [[nodiscard]] std::uint64_t result_bytes() const override { return job_.gather().bytes(); }

  const Function function_;
  const Call call_;
  MapJob<Call, Parcels&, Gather> job_;
  Range range_;
  std::optional<std::ranges::iterator_t<Range>> next_;
  bool is_used_ = false;  ///< next_ is at the element that was drawn last
};

}  // namespace bulkhead::detail
