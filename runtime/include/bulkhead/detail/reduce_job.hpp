// SPDX-License-Identifier: MIT
//
// ReduceJob: one call of reduce or map_reduce. Its tasks are the steps of a ReducePlan. Functions
// of the user's run in workers only, so nodes of the tree stay encoded here, and go to workers
// again to be combined; codecs run here for the elements, the initial value and the result.
#pragma once

#include <bulkhead/codec.hpp>
#include <bulkhead/detail/block_size.hpp>
#include <bulkhead/detail/job.hpp>
#include <bulkhead/detail/map_job.hpp>
#include <bulkhead/detail/reduce_callable.hpp>
#include <bulkhead/detail/reduce_plan.hpp>
#include <bulkhead/detail/source.hpp>
#include <bulkhead/error.hpp>
#include <bulkhead/outcome.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <ranges>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

namespace bulkhead::detail {

/// All of it that does not depend on the types of the user's program.
class ReduceSteps : public Job {
 public:
  ReduceSteps(int workers, const CallOptions& options);

  [[nodiscard]] bool stops_at_failure() const final { return false; }
  Supply supply(std::uint64_t wanted) final;
  /// After a failure what waits at the workers is looked at again, as most is not wanted any more.
  [[nodiscard]] std::uint64_t horizon() const final {
    return plan_.has_failed() ? plan_.known() : Job::horizon();
  }
  Encoded encode(TaskSink& sink, std::uint32_t callable, TaskRange tasks) final;
  void encode_argument(std::uint64_t task, ByteWriter& out) const final;
  Settled decode(RingReader& answers, std::uint32_t callable, TaskRange tasks) final;
  std::unique_ptr<LargeResult> receive(std::uint64_t task) final;
  void fail(std::uint64_t task, Failure failure) final;
  void attach(std::uint64_t, std::shared_ptr<const TaskOutput>) final {}
  [[nodiscard]] std::uint64_t element_of(std::uint64_t task, std::uint64_t claimed) const final;
  void narrow(std::uint64_t task, std::uint64_t element, bool again) final;
  [[nodiscard]] bool wants(std::uint64_t task) const final { return plan_.is_wanted(task); }
  [[nodiscard]] Progress progress(const Progress& tasks) const final;

 protected:
  // The source of the elements.
  [[nodiscard]] virtual std::optional<std::uint64_t> size() = 0;
  /// Makes elements below `wanted` known, as far as there are any. Throws what the range throws.
  virtual void draw(std::uint64_t wanted) = 0;
  [[nodiscard]] virtual std::uint64_t drawn() const = 0;
  [[nodiscard]] virtual bool has_ended() const = 0;
  virtual void forget(Elements elements) = 0;

  // Values. They may throw.
  /// Sets `at` to the element that is being encoded.
  virtual void encode_elements(Elements elements, std::uint64_t& at, ByteWriter& out) const = 0;
  virtual void encode_init(ByteWriter& out) const = 0;
  virtual void decode_result(std::span<const std::byte> bytes) = 0;

  /// Throws what the call is to throw if it has no result but for failures; those it returns.
  [[nodiscard]] std::optional<Failure> failure_of(const RunReport& report);

 private:
  using Clock = std::chrono::steady_clock;

  bool advance();
  void draw_block(std::uint64_t first, std::uint64_t count);
  [[nodiscard]] bool may_draw() const;
  bool put(TaskSink& sink, std::uint32_t callable, std::uint64_t task);
  void write(const ReducePlan::Step& step, ByteWriter& out) const;
  Settled take(std::uint64_t task, std::vector<std::byte> bytes);
  void accept(std::uint64_t task, std::vector<std::byte> bytes);
  void note_failure(Failure failure);

  const int workers_;
  const bool singly_;
  ReducePlan plan_;
  BlockSize block_size_;
  std::optional<std::uint64_t> size_;  ///< of the range, as it says
  Clock::time_point draw_until_{};
  std::exception_ptr source_error_;
  std::optional<Failure> lowest_;
  std::uint64_t done_ = 0;
  std::uint64_t failed_ = 0;
  /// The element that could not be encoded, of the step that is about to fail of that.
  mutable std::optional<std::uint64_t> stuck_;
};

/// `Range` is a reference for ranges that the caller keeps.
template <class Map, class Op, class Range, class T>
class ReduceJob final : public ReduceSteps {
  using Argument = std::ranges::range_value_t<Range>;

 public:
  ReduceJob(const Map& map, const Op& op, Range&& range, T init, int workers,
            const CallOptions& options)
      : ReduceSteps(workers, options),
        map_(map),
        op_(op),
        init_(std::move(init)),
        source_(std::forward<Range>(range)) {
    require_function(map_);
    require_function(op_);
  }

  T run(Engine& engine, const CallOptions& options) {
    if (const auto failure = failure_of(engine.run(*this, options))) failure->raise();
    return take();
  }
  Outcome<T> try_run(Engine& engine, const CallOptions& options) {
    if (auto failure = failure_of(engine.run(*this, options))) return std::move(*failure);
    return take();
  }

  [[nodiscard]] Describe describe() const override {
    return &ReduceCallable<Map, Op, Argument, T>::describe;
  }
  [[nodiscard]] bool has_state() const override { return !kIsStateless<Map> || !kIsStateless<Op>; }
  void encode_state(ByteWriter& out) const override {
    encode_callable(map_, out);
    encode_callable(op_, out);
  }

 private:
  /// Arrays of plain elements are sent as they are.
  static constexpr bool kCopies =
      kIndexed<Range> && PlainCoded<Argument> && std::ranges::contiguous_range<Range>;

  template <class F>
  static void require_function(const F& f) {
    if constexpr (kIsFunction<F>) {
      if (f == nullptr) throw InvalidArgument("bulkhead: the function is a null pointer");
    }
  }

  /// The result; of an empty range, the initial value.
  T take() { return result_ ? std::move(*result_) : std::move(init_); }

  std::optional<std::uint64_t> size() override { return source_.size(); }
  void draw(std::uint64_t wanted) override { source_.draw(wanted); }
  [[nodiscard]] std::uint64_t drawn() const override { return source_.known(); }
  [[nodiscard]] bool has_ended() const override { return source_.ended(); }
  void forget(Elements elements) override {
    for (std::uint64_t i = 0; i < elements.count; ++i) source_.forget(elements.first + i);
  }

  void encode_elements(Elements elements, std::uint64_t& at, ByteWriter& out) const override {
    if constexpr (kCopies) {
      at = elements.first;
      out.write(std::addressof(source_[elements.first]), elements.count * sizeof(Argument));
    } else {
      for (at = elements.first; at != elements.end(); ++at) encode_element(source_[at], out);
    }
  }
  template <class Element>
  static void encode_element(const Element& element, ByteWriter& out) {
    if constexpr (std::is_same_v<std::remove_cvref_t<Element>, Argument>) {
      Codec<Argument>::encode(element, out);
    } else {
      Codec<Argument>::encode(Argument(element), out);
    }
  }
  void encode_init(ByteWriter& out) const override { Codec<T>::encode(init_, out); }
  void decode_result(std::span<const std::byte> bytes) override {
    result_.emplace(decode_whole<T>(bytes));
  }

  const Map map_;
  const Op op_;
  T init_;
  Source<Range> source_;
  std::optional<T> result_;
};

}  // namespace bulkhead::detail
