// SPDX-License-Identifier: MIT
//
// The coordinator's end of one worker: its two memories and the rings in them. Believes nothing
// that the worker wrote. Knows no process: who lives at the other end is the zygote's and the
// coordinator's business.
#pragma once

#include "worker/crash.hpp"
#include "worker/memory.hpp"
#include "worker/voice.hpp"
#include <bulkhead/detail/ring.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace bulkhead::detail {

class Link {
 public:
  /// Creates and maps the memories, and makes the pipes of the plan. Throws SystemError.
  explicit Link(std::size_t ring_bytes, const VoicePlan& voice = {});

  /// The descriptors for the worker; close_descriptors() once they have been sent.
  [[nodiscard]] std::vector<int> worker_descriptors() const;
  [[nodiscard]] const Descriptor& outbox_fd() const { return outbox_fd_; }
  void close_descriptors();

  Voice& voice() { return voice_; }
  RingWriter& tasks() { return tasks_; }
  RingReader& answers() { return answers_; }

  /// Publishes what was put into tasks(), gives back what was read from answers(), and wakes the
  /// worker if it sleeps and this is what it waits for.
  void publish();

  /// The worker waits for the next publish(), whatever that brings.
  void owe_wake() { owes_wake_ = true; }
  /// Wakes the worker whatever it says of itself: for one that should have answered long ago.
  void wake_anyway();

  /// Chooses the point at which the worker is to ring the doorbell, and at which there is news:
  /// when it has done half of what waits in its inbox now. Each publish() does this.
  void aim_bell();
  /// The same, after its very next step.
  void aim_bell_at_next_step();
  /// Tells the worker when to ring. The caller fences before it looks at has_news().
  void arm_bell();
  void disarm_bell();
  /// True if the worker may already have passed the point, or waits for us.
  bool has_news();
  /// True if there is news, or the worker has come half-way to that point.
  bool has_got_on() { return tasks_.released() >= half_way_ || has_news(); }
  /// False if the worker sleeps, or says so.
  [[nodiscard]] bool is_awake() const;
  /// True if the worker sleeps for want of tasks and all its answers have been taken.
  [[nodiscard]] bool has_finished();
  /// Whether the worker may look for new tasks for a while before it sleeps.
  void allow_spinning(bool allowed);

  /// Tasks [from, to), by the worker's count, must not be begun any more. The caller fences before
  /// it looks at tasks_begun().
  void revoke(std::uint64_t from, std::uint64_t to);
  /// The task of that number, by the worker's count from 1, is to leave what it can to others.
  void end_early(std::uint64_t number);
  /// Tasks that the worker claims to have begun.
  [[nodiscard]] std::uint64_t tasks_begun() const;
  /// When the last of them that has a time limit began, as the worker says; nothing: its time does
  /// not pass now.
  [[nodiscard]] std::optional<std::chrono::steady_clock::time_point> began_at() const;
  /// How often it has said so.
  [[nodiscard]] std::uint64_t steps() const;
  /// The element that the last of them was at, if it is a task of several, as the worker says.
  [[nodiscard]] std::uint64_t element() const;

  // What the worker says of its own time: words of somebody who is not believed.

  [[nodiscard]] const WorkWords& work() const { return work_words(outbox_); }
  [[nodiscard]] std::uint32_t slow_changes() const {
    return work().slow_changes.load(std::memory_order_relaxed);
  }
  /// Of a task that was traced.
  struct TaskTimes {
    std::chrono::steady_clock::time_point began_at;
    std::chrono::steady_clock::time_point ended_at;
  };
  /// Nothing, if it says none of task `number`, or tasks are not traced.
  [[nodiscard]] std::optional<TaskTimes> task_times(std::uint64_t number) const;

  /// What the worker left behind when it crashed. To be called once it is dead.
  [[nodiscard]] std::optional<CrashReport> crash_report() const;

 private:
  [[nodiscard]] bool parked(std::uint32_t& ticket) const;

  Voice voice_;
  Descriptor inbox_fd_;
  Descriptor outbox_fd_;
  Memory inbox_;
  Memory outbox_;
  RingWriter tasks_;
  RingReader answers_;
  std::uint64_t published_ = 0;  ///< up to where the worker has been told of tasks
  std::uint64_t room_told_ = 0;  ///< and of room for answers
  std::uint64_t bell_at_ = kNoBell;
  std::uint64_t half_way_ = kNoBell;
  bool may_spin_ = false;
  bool owes_wake_ = false;
  std::uint32_t woken_ = 0;  ///< the value of `parked` for which the worker was last woken
};

}  // namespace bulkhead::detail
