// SPDX-License-Identifier: MIT
#include "worker/link.hpp"

#include "worker/wake.hpp"

#include <algorithm>
#include <atomic>
#include <utility>

namespace bulkhead::detail {

Link::Link(std::size_t ring_bytes, const VoicePlan& voice)
    : voice_(voice),
      inbox_fd_(create_memory(inbox_bytes(ring_bytes))),
      outbox_fd_(create_memory(outbox_bytes(ring_bytes, voice.traces))),
      inbox_(inbox_fd_, inbox_bytes(ring_bytes), Memory::Access::read_write),
      outbox_(outbox_fd_, outbox_bytes(ring_bytes, voice.traces), Memory::Access::read_only),
      tasks_(inbox_data(inbox_), ring_bytes, &inbox_words(inbox_).tail,
             &outbox_words(outbox_).inbox_head),
      answers_(outbox_data(outbox_), ring_bytes, &outbox_words(outbox_).tail,
               &inbox_words(inbox_).outbox_head) {
  seal_against_writing(inbox_fd_);
  inbox_.keep_private();
  outbox_.keep_private();
  disarm_bell();
}

std::vector<int> Link::worker_descriptors() const {
  std::vector<int> all{inbox_fd_.get(), outbox_fd_.get()};
  for (const int fd : voice_.worker_ends()) all.push_back(fd);
  return all;
}

void Link::close_descriptors() {
  voice_.close_worker_ends();
  inbox_fd_.reset();
  outbox_fd_.reset();
}

bool Link::parked(std::uint32_t& ticket) const {
  ticket = outbox_words(outbox_).parked.load(std::memory_order_acquire);
  return ticket % 2 == 1;
}

// A worker sleeps for want of tasks, or because its outbox is full but for a few bytes: then all of
// that is given back here, at once or, if the worker filled it meanwhile, the next time.
void Link::publish() {
  const bool more_tasks = tasks_.written() != published_;
  const bool more_room = answers_.position() - room_told_ >= answers_.capacity() / 4;
  const bool owed = std::exchange(owes_wake_, false);
  published_ = tasks_.written();
  if (more_room) room_told_ = answers_.position();
  tasks_.commit();
  answers_.release();
  aim_bell();
  if (!more_tasks && !more_room && !owed) return;
  std::atomic_thread_fence(std::memory_order_seq_cst);
  std::uint32_t ticket = 0;
  if (!parked(ticket) || ticket == woken_) return;
  woken_ = ticket;
  wake_anyway();
}

void Link::wake_anyway() {
  std::atomic<std::uint32_t>& wake = inbox_words(inbox_).wake;
  wake.store(wake.load(std::memory_order_relaxed) + 1, std::memory_order_release);
  futex_wake_one(wake);
}

void Link::aim_bell() {
  const std::uint64_t done = tasks_.released();
  const std::uint64_t waiting = tasks_.written() - done;
  // It may have got done since it was last looked after: its answers were there before `done` was.
  const bool news = waiting == 0 && answers_.pending();
  const std::uint64_t ahead = news ? 0 : std::max<std::uint64_t>(waiting - waiting / 2, 1);
  bell_at_ = done + ahead;
  half_way_ = done + ahead - ahead / 2;
}

void Link::aim_bell_at_next_step() {
  half_way_ = bell_at_ = tasks_.released() + 1;
}

void Link::arm_bell() {
  inbox_words(inbox_).bell_at.store(bell_at_, std::memory_order_relaxed);
}

void Link::disarm_bell() {
  inbox_words(inbox_).bell_at.store(kNoBell, std::memory_order_relaxed);
}

bool Link::has_news() {
  std::uint32_t ticket = 0;
  return tasks_.released() >= bell_at_ || answers_.unread() >= answers_.capacity() / 4 ||
         (parked(ticket) && answers_.pending());
}

bool Link::is_awake() const {
  std::uint32_t ticket = 0;
  return !parked(ticket);
}

bool Link::has_finished() {
  std::uint32_t ticket = 0;
  std::uint32_t later = 0;
  // In this order: the worker stores its answers before it gives tasks back, and then goes to
  // sleep. Where tasks were taken back from it, it says so after giving back: it must not have been
  // awake meanwhile.
  return parked(ticket) && tasks_.empty() && !answers_.pending() && parked(later) &&
         later == ticket;
}

void Link::revoke(std::uint64_t from, std::uint64_t to) {
  InboxWords& words = inbox_words(inbox_);
  words.revoke_from.store(from, std::memory_order_relaxed);
  words.revoke_to.store(to, std::memory_order_release);
}

void Link::end_early(std::uint64_t number) {
  inbox_words(inbox_).end_early.store(number, std::memory_order_relaxed);
}

void Link::allow_spinning(bool allowed) {
  if (allowed == may_spin_) return;
  may_spin_ = allowed;
  inbox_words(inbox_).may_spin.store(allowed ? 1 : 0, std::memory_order_relaxed);
}

std::uint64_t Link::tasks_begun() const {
  return outbox_words(outbox_).started.load(std::memory_order_acquire);
}

std::optional<std::chrono::steady_clock::time_point> Link::began_at() const {
  const std::int64_t time = outbox_words(outbox_).began_at.load(std::memory_order_relaxed);
  if (time == kPaused) return std::nullopt;
  return std::chrono::steady_clock::time_point(std::chrono::nanoseconds(time));
}

std::uint64_t Link::steps() const {
  return outbox_words(outbox_).steps.load(std::memory_order_acquire);
}

std::uint64_t Link::element() const {
  return outbox_words(outbox_).element.load(std::memory_order_acquire);
}
std::optional<Link::TaskTimes> Link::task_times(std::uint64_t number) const {
  if (!voice_.plan.traces) return std::nullopt;
  const TraceRecord& record = trace_record(outbox_, answers_.capacity(), number);
  if (record.number.load(std::memory_order_acquire) != number) return std::nullopt;
  const auto time = [](const std::atomic<std::int64_t>& word) {
    return std::chrono::steady_clock::time_point(
        std::chrono::nanoseconds(word.load(std::memory_order_relaxed)));
  };
  return TaskTimes{time(record.began_at), time(record.ended_at)};
}

std::optional<CrashReport> Link::crash_report() const {
  return read_crash_report(crash_page(outbox_));
}

}  // namespace bulkhead::detail
