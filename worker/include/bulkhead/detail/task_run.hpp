// SPDX-License-Identifier: MIT
//
// TaskRun: the loop over the tasks of one frame, as the typed code in the worker sees it. Each task
// is claimed before it begins, can be taken back until then, and is answered by itself; what they
// share are the headers and the crossing of the seam. One thread.
#pragma once

#include <bulkhead/detail/frame.hpp>
#include <bulkhead/detail/ring.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace bulkhead::detail {

class TaskRun {
 public:
  TaskRun(const TaskRun&) = delete;
  TaskRun& operator=(const TaskRun&) = delete;

  /// Claims the next task. False: there is none, or it was taken back.
  bool begin() {
    if (left_ == 0) return false;
    if (room_ == 0) make_room();
    return claim();
  }
  /// The cell of the claimed task's argument.
  [[nodiscard]] const std::byte* argument() const { return argument_; }
  /// Its number in its call.
  [[nodiscard]] std::uint64_t task() const { return task_; }
  /// Where its result goes.
  [[nodiscard]] std::byte* result() { return result_; }
  /// Answers it.
  void end() {
    if (calm_ == 0) [[unlikely]]
      attend();
    result_at_ += result_cell_;
    tail_.store(result_at_, std::memory_order_release);
    result_ += result_cell_;
    --room_;
    skip();
  }

 protected:
  /// Tells the coordinator that a task begins. False if it was taken back. One fence serves both
  /// protocols: the claim against a revocation, and the progress made so far against the
  /// coordinator's falling asleep.
  bool claim() {
    if (timed_) [[unlikely]]
      note_time();
    started_.store(begun_ + 1, std::memory_order_release);  // seen after the last answer
    if (fences_) {
      std::atomic_thread_fence(std::memory_order_seq_cst);
    } else {
      std::atomic_signal_fence(std::memory_order_seq_cst);
    }
    const std::uint64_t revoked_to = revoked_to_.load(std::memory_order_acquire);
    if (begun_ < revoked_to && is_revoked()) [[unlikely]]
      return false;
    if (bell_at_.load(std::memory_order_relaxed) <= done_at_ || deaf_) [[unlikely]]
      ring();
    ++begun_;
    return true;
  }

  /// Words of both memories, each in the place and with the meaning it has in worker/memory.hpp.
  struct Words {
    Position& started;
    Position& tail;
    Position& head;
    const Position& revoked_to;
    const Position& bell_at;
  };
  TaskRun(Words words, const bool& deaf, const volatile std::uint32_t& calm, bool fences)
      : started_(words.started),
        tail_(words.tail),
        head_(words.head),
        revoked_to_(words.revoked_to),
        bell_at_(words.bell_at),
        deaf_(deaf),
        calm_(calm),
        fences_(fences) {}
  ~TaskRun() = default;

  /// Gives the cell of the first task that is left back.
  void skip() {
    argument_ += argument_cell_;
    argument_at_ += argument_cell_;
    done_at_ = argument_at_;
    head_.store(done_at_, std::memory_order_release);
    ++task_;
    --left_;
  }

  /// Makes room for results: sets result_, result_at_ and room_. Sleeps until there is some.
  virtual void make_room() = 0;
  [[nodiscard]] virtual bool is_revoked() = 0;
  /// The coordinator wants to be woken.
  virtual void ring() = 0;
  /// Writes down the time, to be seen by whoever sees the claim.
  virtual void note_time() = 0;
  /// There is something to see to before the task is answered. May not return.
  virtual void attend() = 0;

  Position& started_;
  Position& tail_;
  Position& head_;
  const Position& revoked_to_;
  const Position& bell_at_;
  const bool& deaf_;                    ///< the coordinator cannot be woken any more
  const volatile std::uint32_t& calm_;  ///< 0: attend()
  const bool fences_;                   ///< the worker's fences must be real ones

  bool timed_ = false;       ///< the tasks have a time limit
  std::uint64_t begun_ = 0;  ///< tasks begun by the worker so far
  std::uint64_t task_ = 0;   ///< the first task of the run that has not ended
  std::uint64_t left_ = 0;   ///< tasks of the run that have not ended
  std::uint64_t room_ = 0;   ///< results for which there is room
  const std::byte* argument_ = nullptr;
  std::uint64_t argument_at_ = 0;  ///< its position in the task ring
  std::uint64_t done_at_ = 0;      ///< up to there the task ring was given back
  std::uint64_t argument_cell_ = 0;
  std::byte* result_ = nullptr;
  std::uint64_t result_at_ = 0;  ///< its position in the answer ring
  std::uint64_t result_cell_ = 0;
};

}  // namespace bulkhead::detail
