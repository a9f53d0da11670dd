// SPDX-License-Identifier: MIT
//
// WatchedJob: a call whose results, and failures, are held against the tasks that are really with a
// worker. Whatever the worker says, the next task to end is the oldest of those that it has.
#pragma once

#include "tests/fuzz/require.hpp"
#include <bulkhead/detail/calls.hpp>
#include <bulkhead/detail/map_job.hpp>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <utility>
#include <vector>

namespace bulkhead::fuzz {

/// The tasks at one worker, of all jobs, as somebody sees them who does not listen to it.
class Watch {
 public:
  struct Task {
    std::uint32_t callable = 0;
    std::uint64_t number = 0;
    bool operator==(const Task&) const = default;
  };

  /// A new worker.
  void begin() { sent_ = settled_ = 0; }
  void sent(Task task) {
    settled_ = sent_ - tasks_.size();  // nothing is sent while tasks are being taken back
    tasks_.push_back(task);
    ++sent_;
  }
  void ended(Task task) {
    require(!tasks_.empty(), "nothing ends where nothing has been sent");
    require(tasks_.front() == task, "the task that ends is the next one");
    tasks_.pop_front();
    ++settled_;
  }
  /// The slot has that many tasks left: those that were sent last have been taken back.
  void left(std::uint64_t count) {
    require(count <= tasks_.size(), "no task came from nowhere");
    tasks_.resize(count);
  }
  [[nodiscard]] const std::deque<Task>& tasks() const { return tasks_; }
  /// Tasks that the worker was sent.
  [[nodiscard]] std::uint64_t sent() const { return sent_; }
  /// Of those, before the first of tasks().
  [[nodiscard]] std::uint64_t settled() const { return settled_; }
  [[nodiscard]] std::uint64_t count_of(std::uint32_t callable) const {
    std::uint64_t count = 0;
    for (const Task& task : tasks_) count += task.callable == callable ? 1 : 0;
    return count;
  }

 private:
  std::deque<Task> tasks_;
  std::uint64_t sent_ = 0;
  std::uint64_t settled_ = 0;
};

/// Where the results of a job go.
class Endings {
 public:
  Endings(Watch& watch, std::uint32_t callable) : watch_(watch), callable_(callable) {}

  void note(std::uint64_t task) {
    if (task >= ended_.size()) ended_.resize(task + 1);
    require(!ended_[task], "no task ends twice");
    ended_[task] = true;
    ++count_;
    watch_.ended({callable_, task});
  }
  [[nodiscard]] bool has(std::uint64_t task) const { return task < ended_.size() && ended_[task]; }
  [[nodiscard]] std::uint64_t count() const { return count_; }
  void sent(std::uint64_t task) { watch_.sent({callable_, task}); }

 private:
  Watch& watch_;
  std::uint32_t callable_;
  std::vector<bool> ended_;
  std::uint64_t count_ = 0;
};

/// As Outcomes<R>, or as Values<R>; a MapJob makes its own and so it learns by this where to tell.
inline thread_local Endings* endings_of_new_job = nullptr;

template <class R, bool kStops>
class Listener {
 public:
  static constexpr bool kStopsAtFailure = kStops;
  using Result = void;
  void expect(std::uint64_t) {}
  void place(std::uint64_t task, const detail::Placed<R>&) { endings_->note(task); }
  void fail(std::uint64_t task, const Failure& failure) {
    require(failure.task() == task, "a failure is that of its task");
    endings_->note(task);
  }
  void attach(std::uint64_t, const std::shared_ptr<const TaskOutput>&) {}
  void take(std::uint64_t, const detail::FailureDetails*) {}

 private:
  Endings* endings_ = endings_of_new_job;
};

/// A MapJob of the library, and notes of what passes through it.
template <class Argument, class R, bool kStops>
class WatchedJob final : public detail::Job {
  using Function = R (*)(Argument);
  using Call = detail::TravellingCall<Function, Argument, false>;

 public:
  WatchedJob(Watch& watch, std::uint32_t callable, std::vector<Argument> elements, bool has_state)
      : endings_(watch, callable),
        job_((endings_of_new_job = &endings_, call_), std::move(elements)),
        has_state_(has_state) {}

  [[nodiscard]] const Endings& endings() const { return endings_; }

  [[nodiscard]] detail::Describe describe() const override { return job_.describe(); }
  [[nodiscard]] bool has_state() const override { return has_state_; }
  [[nodiscard]] bool stops_at_failure() const override { return kStops; }
  Supply supply(std::uint64_t wanted) override { return job_.supply(wanted); }

  Encoded encode(detail::TaskSink& sink, std::uint32_t callable, detail::TaskRange tasks) override {
    const Encoded done = job_.encode(sink, callable, tasks);
    require(!done.failed && done.accepted <= tasks.count, "these tasks can be encoded");
    for (std::uint64_t i = 0; i < done.accepted; ++i) {
      require(!endings_.has(tasks.first + i), "what has ended is not run again");
      endings_.sent(tasks.first + i);
    }
    return done;
  }
  detail::Settled decode(detail::RingReader& answers, std::uint32_t callable,
                         detail::TaskRange tasks) override {
    const detail::Settled settled = job_.decode(answers, callable, tasks);
    require(settled.count <= tasks.count, "no more tasks end than were with the worker");
    return settled;
  }
  std::unique_ptr<detail::LargeResult> receive(std::uint64_t task) override {
    return job_.receive(task);
  }
  void fail(std::uint64_t task, Failure failure) override { job_.fail(task, std::move(failure)); }
  void attach(std::uint64_t task, std::shared_ptr<const TaskOutput> output) override {
    job_.attach(task, std::move(output));
  }

 private:
  static R unused(Argument) { return R{}; }

  Endings endings_;
  Call call_{function_};
  detail::MapJob<Call, std::vector<Argument>, Listener<R, kStops>> job_;
  bool has_state_;

  static constexpr Function function_ = &unused;
};

}  // namespace bulkhead::fuzz
