// SPDX-License-Identifier: MIT
#include "worker/wake.hpp"

#include <bulkhead/error.hpp>

#include <algorithm>
#include <array>
#include <cerrno>
#include <ctime>
#include <fcntl.h>
#include <linux/futex.h>
#include <span>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <unistd.h>
#include <utility>

namespace bulkhead::detail {
namespace {

enum Source : std::uint8_t { kDoorbell, kControl, kZygote, kOutput, kEvents, kTimer, kDeath };
/// Of the data of an event: the source; above that, of a death, the epoch.
constexpr int kSourceBits = 8;

bool change_watch(int epoll, int operation, int fd, Source source, std::uint32_t events) {
  epoll_event event{};
  event.events = events;
  event.data.u64 = source;
  return ::epoll_ctl(epoll, operation, fd, &event) == 0;
}

void watch(int epoll, int fd, Source source, std::uint32_t events) {
  if (change_watch(epoll, EPOLL_CTL_ADD, fd, source, events)) return;
  throw SystemError("bulkhead: cannot watch a descriptor (epoll_ctl)", errno);
}

Descriptor make_epoll() {
  Descriptor epoll(::epoll_create1(EPOLL_CLOEXEC));
  if (!epoll) throw SystemError("bulkhead: cannot create an epoll descriptor", errno);
  return epoll;
}

}  // namespace

// Not FUTEX_PRIVATE: the word is in memory that two processes share.
void futex_wait(const std::atomic<std::uint32_t>& word, std::uint32_t seen,
                std::optional<std::chrono::nanoseconds> limit) {
  timespec time{};
  if (limit) {
    const auto seconds = std::chrono::floor<std::chrono::seconds>(*limit);
    time = {seconds.count(), (*limit - seconds).count()};
  }
  ::syscall(SYS_futex, &word, FUTEX_WAIT, seen, limit ? &time : nullptr, nullptr, 0);
}

void futex_wake_one(std::atomic<std::uint32_t>& word) {
  ::syscall(SYS_futex, &word, FUTEX_WAKE, 1, nullptr, nullptr, 0);
}

Doorbell::Doorbell() : fd_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  if (!fd_) throw SystemError("bulkhead: cannot create an eventfd", errno);
}

bool Doorbell::ring() const {
  std::uint64_t one = 1;
  if (::write(fd_.get(), &one, sizeof one) == sizeof one) return true;
  if (errno != EAGAIN) return false;
  // The counter is full, as nobody reads it: begin anew.
  std::uint64_t count = 0;
  [[maybe_unused]] const auto taken = ::read(fd_.get(), &count, sizeof count);
  return ::write(fd_.get(), &one, sizeof one) == sizeof one || errno == EAGAIN;
}

void Doorbell::empty() const {
  std::uint64_t count = 0;
  const iovec place{&count, sizeof count};
  // Whether the descriptor blocks is not up to us alone.
  [[maybe_unused]] const auto taken = ::preadv2(fd_.get(), &place, 1, -1, RWF_NOWAIT);
}

bool Doorbell::usable() const {
  return ::fcntl(fd_.get(), F_GETFD) >= 0 || errno != EBADF;  // a filter may refuse to tell
}

bool watch_death(int epoll, int pidfd, std::uint64_t epoch) {
  epoll_event event{};
  event.events = EPOLLIN | EPOLLONESHOT;
  event.data.u64 = kDeath | epoch << kSourceBits;
  return ::epoll_ctl(epoll, EPOLL_CTL_ADD, pidfd, &event) == 0;
}

EventSet::EventSet(int doorbell, int own_bell, int control, int zygote_pidfd)
    : epoll_(make_epoll()) {
  // Edge-triggered, so that the bell need not be read: each ring is a new edge.
  watch(epoll_.get(), doorbell, kDoorbell, EPOLLIN | EPOLLET);
  watch(epoll_.get(), own_bell, kDoorbell, EPOLLIN | EPOLLET);
  watch(epoll_.get(), control, kControl, EPOLLIN);
  watch(epoll_.get(), zygote_pidfd, kZygote, EPOLLIN);
}

// Edge-triggered, or one that has been closed at the other end would wake for ever.
void EventSet::watch_output(int pipe) const {
  watch(epoll_.get(), pipe, kOutput, EPOLLIN | EPOLLET);
}

Wakeup EventSet::wait(std::chrono::milliseconds timeout) const {
  std::array<epoll_event, Wakeup::kMost> events;
  const int limit = timeout.count() < 0 ? -1 : static_cast<int>(timeout.count());
  const int count =
      ::epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), limit);
  Wakeup wakeup;
  for (const epoll_event& event :
       std::span(events).first(static_cast<std::size_t>(std::max(count, 0)))) {
    const std::uint64_t data = event.data.u64;
    const auto source = static_cast<Source>(data);
    wakeup.bell |= source == kDoorbell;
    wakeup.control |= source == kControl;
    wakeup.zygote |= source == kZygote;
    wakeup.output |= source == kOutput;
    if (source == kDeath) wakeup.dead[wakeup.deaths++] = data >> kSourceBits;
  }
  return wakeup;
}

LoopHandle::LoopHandle(const EventSet& events)
    : epoll_(make_epoll()),
      timer_(::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK)),
      events_(events.fd()) {
  if (!timer_) throw SystemError("bulkhead: cannot create a timerfd", errno);
  watch(epoll_.get(), events_, kEvents, EPOLLIN);
  // Edge-triggered, so that they need not be read.
  watch(epoll_.get(), bell_.fd(), kDoorbell, EPOLLIN | EPOLLET);
  watch(epoll_.get(), timer_.get(), kTimer, EPOLLIN | EPOLLET);
}

void LoopHandle::call() {
  if (!std::exchange(called_, true)) bell_.ring();
}

void LoopHandle::call_after(std::optional<std::chrono::milliseconds> time) {
  if (!std::exchange(timed_, time.has_value()) && !time) return;
  const auto ms = time.value_or(std::chrono::milliseconds{0}).count();
  itimerspec when{};
  when.it_value.tv_sec = ms / 1000;
  when.it_value.tv_nsec = ms % 1000 * 1'000'000;
  ::timerfd_settime(timer_.get(), 0, &when, nullptr);
}

bool LoopHandle::take() {
  std::array<epoll_event, 4> events;
  const int count = ::epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), 0);
  called_ = false;
  return std::any_of(events.begin(), events.begin() + std::max(count, 0),
                     [](const epoll_event& event) { return event.data.u64 == kTimer; });
}

void LoopHandle::watch_events(bool watches) {
  if (std::exchange(watches_, watches) == watches) return;
  change_watch(epoll_.get(), EPOLL_CTL_MOD, events_, kEvents, watches ? EPOLLIN : 0U);
}

}  // namespace bulkhead::detail
