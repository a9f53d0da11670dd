// SPDX-License-Identifier: MIT
//
// ResultStream: what imap and the like return at once.
#pragma once

#include <bulkhead/detail/stream_call.hpp>
#include <bulkhead/outcome.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

namespace bulkhead {
namespace detail {

template <class R>
struct Streamed {
  using Value = R;
};
template <class R>
struct Streamed<Outcome<R>> {
  using Value = R;
};

}  // namespace detail

/// Results, to be taken one by one while the call goes on; an input range:
///
///   for (double score : pool.imap(train, settings)) ...
///
/// What is asked for the next result draws the elements that the workers can do with, gives them to
/// the workers, and waits. So all of the range's code runs in the thread that reads the stream, and
/// a range may look at what has been read before; but between two results workers have what they
/// were given before, some 2 ms of work, and time limits are not looked after. No more than
/// CallOptions::buffersize elements are drawn whose results have not been read, and no more than 64
/// MiB of elements and results, as encoded, are kept, but for what the workers are at (one element
/// and one result at least).
///
/// R is what the function returns, or for try_imap an Outcome of it. A task that fails throws where
/// its result is read, by next() or *iterator, and the stream goes on. What the range throws comes
/// behind the results of the elements before; then the stream has ended. If the call cannot go on
/// (the pool is terminated, destroyed or broken, a stop was requested, cancel() was called), the
/// elements that were drawn fail with that, and then, unless they were all, the stream throws it
/// and has ended.
///
/// A stream that is dropped ends its call as cancel() does, and waits for that. Thread-safety: one
/// thread at a time, as a std::istream; it may outlive its pool.
template <class R>
class [[nodiscard]] ResultStream {
  using Value = typename detail::Streamed<R>::Value;
  using State = detail::StreamState<Value>;
  static constexpr bool kOutcomes = !std::is_same_v<R, Value>;

 public:
  class Iterator;

  ResultStream(ResultStream&& other) noexcept = default;
  ResultStream& operator=(ResultStream&& other) noexcept {
    ResultStream old(std::move(*this));
    state_ = std::move(other.state_);
    return *this;
  }
  ~ResultStream() {
    if (state_) state_->drop();
  }

  /// The next result; nothing at the end. Where R is void: true, or false at the end. Throws.
  auto next() { return read(std::nullopt); }
  /// The same; throws NotReady if it takes longer, and then nothing is lost: the result comes next
  /// time.
  auto next(std::chrono::nanoseconds timeout) { return read(timeout); }
  /// The index in the range of the element whose result (or failure) has been read last.
  [[nodiscard]] std::uint64_t index() const { return state_->index(); }

  /// The tasks that have not ended are cancelled: those that wait are not run, those that run are
  /// ended, as on a timeout. Results that have come can still be read.
  void cancel() { state_->cancel(); }

  /// Reads the first result (of those that have not been read).
  Iterator begin() requires(!std::is_void_v<R>) { return ++Iterator(*this); }
  std::default_sentinel_t end() { return {}; }

 private:
  friend class Pool;
  explicit ResultStream(std::shared_ptr<State> state) : state_(std::move(state)) {}

  auto read(std::optional<std::chrono::nanoseconds> timeout) {
    const bool any = state_->advance(timeout);
    if constexpr (std::is_void_v<R>) {
      if (any) state_->current().value();
      return any;
    } else {
      return any ? std::optional<R>(result(std::move(state_->current()))) : std::nullopt;
    }
  }
  static decltype(auto) result(Outcome<Value>&& outcome) {
    if constexpr (kOutcomes) {
      return std::move(outcome);
    } else {
      return std::move(outcome).value();
    }
  }

  std::shared_ptr<State> state_;
};

/// An input iterator. Of one stream, all are at the same place.
template <class R>
class ResultStream<R>::Iterator {
 public:
  using iterator_concept = std::input_iterator_tag;
  using value_type = R;
  using difference_type = std::ptrdiff_t;

  /// The result, which may be moved away. Throws the failure.
  R& operator*() const {
    Outcome<Value>& outcome = stream_->state_->current();
    if constexpr (kOutcomes) {
      return outcome;
    } else {
      return outcome.value();
    }
  }
  R* operator->() const { return &**this; }
  /// Reads the next result. Throws what ends the stream.
  Iterator& operator++() {
    if (!stream_->state_->advance(std::nullopt)) stream_ = nullptr;
    return *this;
  }
  void operator++(int) { ++*this; }
  bool operator==(std::default_sentinel_t) const { return stream_ == nullptr; }

 private:
  friend class ResultStream;
  explicit Iterator(ResultStream& stream) : stream_(&stream) {}

  ResultStream* stream_;  ///< null at the end
};

}  // namespace bulkhead
