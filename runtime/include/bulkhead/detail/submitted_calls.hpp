// SPDX-License-Identifier: MIT
//
// Calls of one function that are made one by one and go on by themselves: apply_async. Those of a
// function, with the same options, that are on their way are one job, so that a call costs no more
// than its task however many wait.
#pragma once

#include <bulkhead/detail/async_call.hpp>
#include <bulkhead/detail/calls.hpp>
#include <bulkhead/detail/gather.hpp>
#include <bulkhead/detail/job.hpp>
#include <bulkhead/detail/map_job.hpp>
#include <bulkhead/detail/parcels.hpp>
#include <bulkhead/error.hpp>
#include <bulkhead/failure.hpp>
#include <bulkhead/options.hpp>

#include <cstdint>
#include <deque>
#include <exception>
#include <iterator>
#include <memory>
#include <type_traits>
#include <utility>
#include <vector>

namespace bulkhead::detail {

/// Results of tasks, each to a place of its own: what MapJob wants of them, see gather.hpp.
template <class R>
class Promises {
 public:
  static constexpr bool kStopsAtFailure = false;
  static constexpr bool kIsOfSingleCalls = true;
  using Result = void;

  void expect(std::uint64_t) {}
  void add(std::shared_ptr<AsyncState<R>> result) { open_.push_back(std::move(result)); }
  void drop_last() { open_.pop_back(); }
  void place(std::uint64_t task, Placed<R> value) {
    settle(task, [&] { return std::move(value); });
  }
  void fail(std::uint64_t task, Failure failure) {
    settle(task, [&]() -> Placed<R> {
      if (failure.kind() == FailureKind::not_run) throw BrokenPool(failure.message());
      failure.raise();
    });
  }
  void attach(std::uint64_t, std::shared_ptr<const TaskOutput>) {}
  void take(std::uint64_t, const FailureDetails*) {}

  void take_ended(std::vector<std::shared_ptr<Expected>>& ended) {
    ended.insert(ended.end(), std::move_iterator(ended_.begin()), std::move_iterator(ended_.end()));
    ended_.clear();
  }

 private:
  /// One that was cancelled is not there any more.
  template <class Make>
  void settle(std::uint64_t task, Make make) {
    if (task < first_) return;
    const std::shared_ptr<AsyncState<R>> result = std::move(open_[task - first_]);
    for (; !open_.empty() && !open_.front(); open_.pop_front()) ++first_;
    if (!result) return;
    result->settle(make);
    ended_.push_back(result);
  }

  std::deque<std::shared_ptr<AsyncState<R>>> open_;  ///< by task, from first_ on
  std::uint64_t first_ = 0;
  std::vector<std::shared_ptr<Expected>> ended_;
};

template <class Call, class Function>
class FunctionCalls final : public SubmittedCalls {
  using R = typename Call::Result;

 public:
  FunctionCalls(const Function& function, CallOptions options)
      : options_(std::move(options)),
        function_(function),
        call_(function_),
        job_(call_, parcels_) {}

  [[nodiscard]] Job& job() override { return job_; }
  [[nodiscard]] const CallOptions& options() const override { return options_; }
  void finish(const RunReport& report, std::exception_ptr) override {
    if (!report.given_up) return;
    for (const std::uint64_t task : parcels_.open()) {
      job_.fail(task, given_up_failure(*report.given_up, 0));
    }
  }

  std::uint64_t add(Submission call) override {
    const std::uint64_t task = parcels_.known();
    Promises<R>& promises = job_.gather();
    promises.add(std::static_pointer_cast<AsyncState<R>>(std::move(call.result)));
    try {
      parcels_.add(std::move(call.argument));
    } catch (...) {
      promises.drop_last();
      throw;
    }
    return task;
  }
  void spoil(std::uint64_t task) override {
    parcels_.spoil(task, std::make_exception_ptr(CancelledTask()));
  }
  void cancel(std::uint64_t task) override {
    FailureDetails why;
    why.kind = FailureKind::cancelled;
    why.message = CancelledTask().what();
    job_.gather().fail(task, given_up_failure(why, 0));
  }
  [[nodiscard]] bool idle() const override { return parcels_.left() == 0; }
  [[nodiscard]] Load load() const override { return {parcels_.left(), parcels_.bytes()}; }
  void take_ended(std::vector<std::shared_ptr<Expected>>& ended) override {
    job_.gather().take_ended(ended);
  }

 private:
  const CallOptions options_;
  const Function function_;
  const Call call_;
  Parcels parcels_;
  MapJob<Call, Parcels&, Promises<R>> job_;
};

}  // namespace bulkhead::detail
