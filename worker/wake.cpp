// SPDX-License-Identifier: MIT
#include "worker/wake.hpp"

#include <bulkhead/error.hpp>

#include <array>
#include <cerrno>
#include <fcntl.h>
#include <linux/futex.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace bulkhead::detail {
namespace {

enum Source : std::uint32_t { kDoorbell, kControl, kZygote, kOutput };

void watch(int epoll, int fd, Source source, std::uint32_t events) {
  epoll_event event{};
  event.events = events;
  event.data.u32 = source;
  if (::epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) != 0) {
    throw SystemError("bulkhead: cannot watch a descriptor (epoll_ctl)", errno);
  }
}

}  // namespace

// Not FUTEX_PRIVATE: the word is in memory that two processes share.
void futex_wait(const std::atomic<std::uint32_t>& word, std::uint32_t seen) {
  ::syscall(SYS_futex, &word, FUTEX_WAIT, seen, nullptr, nullptr, 0);
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

bool Doorbell::usable() const {
  return ::fcntl(fd_.get(), F_GETFD) >= 0 || errno != EBADF;  // a filter may refuse to tell
}

EventSet::EventSet(int doorbell, int control, int zygote_pidfd)
    : epoll_(::epoll_create1(EPOLL_CLOEXEC)) {
  if (!epoll_) throw SystemError("bulkhead: cannot create an epoll descriptor", errno);
  // Edge-triggered, so that the bell need not be read: each ring is a new edge.
  watch(epoll_.get(), doorbell, kDoorbell, EPOLLIN | EPOLLET);
  watch(epoll_.get(), control, kControl, EPOLLIN);
  watch(epoll_.get(), zygote_pidfd, kZygote, EPOLLIN);
}

// Edge-triggered, or one that has been closed at the other end would wake for ever.
void EventSet::watch_output(int pipe) const {
  watch(epoll_.get(), pipe, kOutput, EPOLLIN | EPOLLET);
}

Wakeup EventSet::wait(std::chrono::milliseconds timeout) const {
  std::array<epoll_event, 16> events;
  const int limit = timeout.count() < 0 ? -1 : static_cast<int>(timeout.count());
  const int count =
      ::epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), limit);
  Wakeup wakeup;
  for (int i = 0; i < count; ++i) {
    wakeup.bell |= events[static_cast<std::size_t>(i)].data.u32 == kDoorbell;
    wakeup.control |= events[static_cast<std::size_t>(i)].data.u32 == kControl;
    wakeup.zygote |= events[static_cast<std::size_t>(i)].data.u32 == kZygote;
    wakeup.output |= events[static_cast<std::size_t>(i)].data.u32 == kOutput;
  }
  return wakeup;
}

}  // namespace bulkhead::detail
