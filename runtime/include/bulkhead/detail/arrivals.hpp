// SPDX-License-Identifier: MIT
//
// Arrivals: results that have come and not been taken, each with its index. Where a MapJob's
// results go if they are taken while the call goes on.
#pragma once

#include <bulkhead/detail/gather.hpp>
#include <bulkhead/detail/intake.hpp>
#include <bulkhead/failure.hpp>
#include <bulkhead/outcome.hpp>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <iterator>
#include <limits>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

namespace bulkhead::detail {

template <class R>
struct Arrival {
  std::uint64_t index = 0;
  Outcome<R> outcome;
};

template <class R>
Outcome<R> placed_outcome(Placed<R> value) {
  if constexpr (std::is_void_v<R>) {
    return std::monostate{};
  } else {
    return Outcome<R>(std::move(value));
  }
}

/// Results may be taken in the order of their elements.
template <class R>
class OrderedArrivals {
 public:
  void place(std::uint64_t index, Placed<R> value, std::uint64_t bytes) {
    put(index, placed_outcome<R>(std::move(value)), bytes);
  }
  void fail(std::uint64_t index, Failure failure) { put(index, std::move(failure), 0); }
  void attach(std::uint64_t index, std::shared_ptr<const TaskOutput> output) {
    waiting_[index - next_].outcome->attach(std::move(output));
  }

  [[nodiscard]] bool any() const { return !waiting_.empty() && waiting_.front().outcome; }
  /// Moves those to the end of `taken` whose turn it is. The bytes that they had as encoded.
  std::uint64_t take(std::vector<Arrival<R>>& taken) {
    const std::uint64_t before = bytes_;
    for (; any(); waiting_.pop_front(), ++next_) {
      taken.push_back({next_, std::move(*waiting_.front().outcome)});
      bytes_ -= waiting_.front().bytes;
    }
    return before - bytes_;
  }
  /// Of those that have not been taken.
  [[nodiscard]] std::uint64_t bytes() const { return bytes_; }
  /// Without the results of tasks below that, none can be taken.
  [[nodiscard]] std::uint64_t next() const { return next_ + 1; }

 private:
  struct Waiting {
    std::optional<Outcome<R>> outcome;
    std::uint64_t bytes = 0;
  };

  void put(std::uint64_t index, Outcome<R> outcome, std::uint64_t bytes) {
    while (waiting_.size() <= index - next_) waiting_.emplace_back();
    Waiting& waiting = waiting_[index - next_];
    waiting.outcome.emplace(std::move(outcome));
    waiting.bytes = bytes;
    bytes_ += bytes;
  }

  std::deque<Waiting> waiting_;
  std::uint64_t next_ = 0;
  std::uint64_t bytes_ = 0;
};

/// Results may be taken as they come.
template <class R>
class UnorderedArrivals {
 public:
  void place(std::uint64_t index, Placed<R> value, std::uint64_t bytes) {
    arrived_.push_back({index, placed_outcome<R>(std::move(value))});
    bytes_ += bytes;
  }
  void fail(std::uint64_t index, Failure failure) {
    arrived_.push_back({index, std::move(failure)});
  }
  /// In the order in which they were placed.
  void attach(std::uint64_t index, std::shared_ptr<const TaskOutput> output) {
    while (arrived_[attached_].index != index) attached_ = (attached_ + 1) % arrived_.size();
    arrived_[attached_].outcome.attach(std::move(output));
  }

  [[nodiscard]] bool any() const { return !arrived_.empty(); }
  std::uint64_t take(std::vector<Arrival<R>>& taken) {
    if (taken.empty()) {
      taken.swap(arrived_);
    } else {
      taken.insert(taken.end(), std::move_iterator(arrived_.begin()),
                   std::move_iterator(arrived_.end()));
      arrived_.clear();
    }
    attached_ = 0;
    return std::exchange(bytes_, 0);
  }
  [[nodiscard]] std::uint64_t bytes() const { return bytes_; }
  [[nodiscard]] std::uint64_t next() const { return 0; }

 private:
  std::vector<Arrival<R>> arrived_;
  std::size_t attached_ = 0;
  std::uint64_t bytes_ = 0;
};

/// As MapJob wants it (see gather.hpp), with a bound on the memory that results take.
template <class Arrivals>
class Arriving {
 public:
  static constexpr bool kStopsAtFailure = false;
  using Result = void;

  void expect(std::uint64_t) {}
  /// So many bytes were those of each of the results that are placed next.
  void weigh(std::uint64_t bytes) { weight_ = bytes; }
  template <class Value>
  void place(std::uint64_t index, Value value) {
    arrivals_.place(index, std::move(value), weight_);
  }
  void fail(std::uint64_t index, Failure failure) { arrivals_.fail(index, std::move(failure)); }
  void attach(std::uint64_t index, std::shared_ptr<const TaskOutput> output) {
    arrivals_.attach(index, std::move(output));
  }
  void take(std::uint64_t, const FailureDetails*) {}

  [[nodiscard]] bool any() const { return arrivals_.any(); }
  /// Fills `chunk`, of which nothing is left.
  template <class R>
  void take_into(std::vector<Arrival<R>>& chunk) {
    chunk.clear();
    in_chunk_ = arrivals_.take(chunk);
  }
  /// What is waiting, and what has been taken last.
  [[nodiscard]] std::uint64_t bytes() const { return arrivals_.bytes() + in_chunk_; }
  /// See Job. The next result that can be taken is never waited for in vain.
  [[nodiscard]] std::uint64_t horizon() const {
    return bytes() < kMostBytes ? std::numeric_limits<std::uint64_t>::max() : arrivals_.next();
  }

  /// More is not waited for but for what workers are at.
  static constexpr std::uint64_t kMostBytes = Intake::kMostBytes;

 private:
  Arrivals arrivals_;
  std::uint64_t weight_ = 0;
  std::uint64_t in_chunk_ = 0;
};

template <class R>
using InOrder = Arriving<OrderedArrivals<R>>;
template <class R>
using AsTheyCome = Arriving<UnorderedArrivals<R>>;

}  // namespace bulkhead::detail
