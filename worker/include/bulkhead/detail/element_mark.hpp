// SPDX-License-Identifier: MIT
//
// ElementMark: how a task that goes through several elements of its call's range says which of them
// it is at: for this_task::index() and seed(), for the time limit, which each has for itself, and
// so that the very element is blamed if the worker does not come back. One store for each element,
// to a word that nobody else writes.
#pragma once

#include <atomic>
#include <cstdint>

namespace bulkhead::detail {

/// Of the task that runs, in its thread, until it ends.
class ElementMark {
 public:
  explicit ElementMark(std::uint64_t first);
  ElementMark(const ElementMark&) = delete;
  ElementMark& operator=(const ElementMark&) = delete;

  /// The task comes to the element, which is to be decoded and mapped. Does not return in a copy of
  /// the worker that the element before has made by a fork, nor if that was told to stop.
  void begin(std::uint64_t element) {
    if (calm_ == 0) [[unlikely]]
      attend();
    if (timed_) [[unlikely]]
      restart_time();
    set(element);
    if (watched_) [[unlikely]]
      tell(element);
  }
  /// True if others are to do the elements that the task has not begun.
  [[nodiscard]] bool is_to_end() const {
    return end_early_ != nullptr ? end_early_->load(std::memory_order_relaxed) == task_ : is_told();
  }
  /// What follows is done on that element's account. Does not return either.
  void move_to(std::uint64_t element) {
    if (calm_ == 0) [[unlikely]]
      attend();
    set(element);
  }

 private:
  static void attend();
  static void restart_time();
  static bool is_told();
  void tell(std::uint64_t element) const;
  void set(std::uint64_t element) {
    word_->store(element, std::memory_order_relaxed);
    std::atomic_signal_fence(std::memory_order_seq_cst);  // what follows may be the end
  }

  const volatile std::uint32_t& calm_;  ///< 0: attend()
  const bool watched_;                  ///< there are faults
  bool timed_ = false;                  ///< elements have a time limit
  const std::uint64_t first_;
  std::atomic<std::uint64_t>* word_;
  std::uint64_t task_ = 0;                                 ///< its number, by the worker's count
  const std::atomic<std::uint64_t>* end_early_ = nullptr;  ///< if it is there; null: it is inline
};

/// While it lasts, what a task does is the library's, and no time of its limit passes; but for that
/// of the user's functions within it, of which each call has the whole time to itself.
class OwnTime {
 public:
  OwnTime();
  OwnTime(const OwnTime&) = delete;
  OwnTime& operator=(const OwnTime&) = delete;
  ~OwnTime();

  /// What the user's function returns.
  template <class Call>
  decltype(auto) outside(Call call) const {
    const Outside outside(paused_);
    return call();
  }

 private:
  struct Outside {
    const bool is_timed;
    explicit Outside(bool timed) : is_timed(timed) {
      if (is_timed) [[unlikely]]
        go_on();
    }
    Outside(const Outside&) = delete;
    Outside& operator=(const Outside&) = delete;
    ~Outside() {
      if (is_timed) [[unlikely]]
        pause();
    }
  };
  static void go_on();
  static void pause();

  bool paused_ = false;
};

}  // namespace bulkhead::detail
