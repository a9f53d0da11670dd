// SPDX-License-Identifier: MIT
//
// Sleeping and waking across processes. A worker sleeps on a futex in its inbox; the coordinator
// sleeps on one epoll descriptor, which holds the doorbell (an eventfd that workers write), the
// control socket, the zygote's pidfd, and those of the workers, which the zygote puts in.
//
// No wake is lost (the Dekker pattern): who is about to sleep says so, fences, and looks again; who
// has news publishes it, fences, and looks whether the other sleeps. Of the two looks at least one
// sees what the other side stored.
#pragma once

#include "worker/descriptor.hpp"

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>

namespace bulkhead::detail {

/// Sleeps until `word` is not `seen`, wake_one() was called, or the time is up, if there is one.
/// May return for no reason.
void futex_wait(const std::atomic<std::uint32_t>& word, std::uint32_t seen,
                std::optional<std::chrono::nanoseconds> limit = std::nullopt);
/// Wakes one process that sleeps on `word`, if there is one.
void futex_wake_one(std::atomic<std::uint32_t>& word);

/// An eventfd. The ringing end is shared by all workers of a pool and by the coordinator's threads.
class Doorbell {
 public:
  /// Throws SystemError.
  Doorbell();
  explicit Doorbell(Descriptor fd) : fd_(std::move(fd)) {}
  /// False if the descriptor is not there any more (a task closed it).
  bool ring() const;
  /// Who rings waits for that, if a task has filled the bell and made it block. Never waits itself.
  void empty() const;
  /// False if the descriptor was closed.
  [[nodiscard]] bool usable() const;
  [[nodiscard]] int fd() const { return fd_.get(); }

 private:
  Descriptor fd_;
};

/// What woke the coordinator.
struct Wakeup {
  static constexpr std::size_t kMost = 16;

  bool bell = false;                        ///< a worker, or another thread of ours, has rung
  bool control = false;                     ///< the zygote has sent something
  bool zygote = false;                      ///< the zygote has ended
  bool output = false;                      ///< a worker has said something
  std::array<std::uint64_t, kMost> dead{};  ///< epochs of workers that have ended
  std::size_t deaths = 0;                   ///< how many those are

  /// True if nothing did: the time was up.
  [[nodiscard]] bool timed_out() const {
    return !bell && !control && !zygote && !output && deaths == 0;
  }
};

/// Has an EventSet, whose epoll descriptor may have come from another process, wake for the death
/// of a worker, once, until the pidfd is closed. False: it will not.
bool watch_death(int epoll, int pidfd, std::uint64_t epoch);

/// One pollable descriptor for all that can happen to a pool.
class EventSet {
 public:
  /// Throws SystemError.
  EventSet(int doorbell, int own_bell, int control, int zygote_pidfd);
  /// Wakes for what comes through this pipe, too, until it is closed. Throws SystemError.
  void watch_output(int pipe) const;
  /// Sleeps until something happens or `timeout` has passed; negative: no limit.
  [[nodiscard]] Wakeup wait(std::chrono::milliseconds timeout) const;
  /// Readable if wait() would return at once.
  [[nodiscard]] int fd() const { return epoll_.get(); }

 private:
  Descriptor epoll_;
};

/// What an event loop of the host's watches: one descriptor that is readable when something has
/// happened, when it was called, or when its time has come.
class LoopHandle {
 public:
  /// Throws SystemError.
  explicit LoopHandle(const EventSet& events);
  [[nodiscard]] int fd() const { return epoll_.get(); }
  /// Until take().
  void call();
  /// Instead of an earlier time; nothing: never.
  void call_after(std::optional<std::chrono::milliseconds> time);
  /// Takes note of both. True if its time has come.
  bool take();
  /// Somebody else sleeps on the events: they do not make it readable until they do again.
  void leave_events_alone() { watch_events(false); }
  void watch_events() { watch_events(true); }

 private:
  void watch_events(bool watches);

  Descriptor epoll_;
  Descriptor timer_;
  Doorbell bell_;
  int events_;
  bool watches_ = true;
  bool called_ = false;
  bool timed_ = false;
};

}  // namespace bulkhead::detail
