// SPDX-License-Identifier: MIT
#include "worker/channel.hpp"

#include "worker/serve.hpp"
#include "worker/task_clock.hpp"

#include <algorithm>
#include <unistd.h>

namespace bulkhead::detail {

Channel::Channel(const Memory& inbox, const Memory& outbox, std::uint64_t ring_bytes,
                 const Doorbell& doorbell, WorkMeter& meter)
    : in_(bulkhead::detail::inbox_words(inbox)),
      out_(outbox_words(outbox)),
      tasks_(inbox_data(inbox), ring_bytes, &in_.tail, &out_.inbox_head),
      answers_(outbox_data(outbox), ring_bytes, &out_.tail, &in_.outbox_head),
      doorbell_(doorbell),
      meter_(meter) {}

/// While it looks, the coordinator must not sleep in the belief that the worker is busy.
template <class Ready>
bool Channel::spin_until(Ready ready, Time& now) {
  std::atomic_thread_fence(std::memory_order_seq_cst);
  ring_if_parked();
  return spin_.until(ready, now);
}

/// An odd number that was not there before.
void Channel::note_sleep() {
  parked_ = (parked_ + 1) | 1;
  out_.parked.store(parked_, std::memory_order_relaxed);
  std::atomic_thread_fence(std::memory_order_seq_cst);
}

// See wake.hpp for why nothing is lost: parked is stored, then a fence, then `ready` looks again.
// Sleeps no longer than the limit.
template <class Ready, class BeforeSleep>
Channel::Wait Channel::park_until(Ready ready, Time& now, const Limit& limit,
                                  BeforeSleep before_sleep) {
  Wait wait = Wait::was_short;
  std::optional<Time> began;
  Limit left = limit;
  while (!ready()) {
    if (left && left->count() <= 0) return Wait::was_in_vain;
    if (in_.may_spin.load(std::memory_order_relaxed) != 0) {
      if (wait == Wait::was_a_sleep) now = WorkMeter::Clock::now();
      if (spin_until(ready, now)) return wait;
    }
    wait = Wait::was_a_sleep;
    before_sleep();
    const std::uint32_t seen = in_.wake.load(std::memory_order_acquire);
    note_sleep();
    if (!ready()) {
      ring_if_parked();
      if (limit && !began) began = WorkMeter::Clock::now();
      futex_wait(in_.wake, seen, left);
      if (limit) left = *limit - (WorkMeter::Clock::now() - *began);
    }
    out_.parked.store(++parked_, std::memory_order_relaxed);
  }
  return wait;
}

template <class Ready>
void Channel::park_until(Ready ready) {
  Time now = WorkMeter::Clock::now();
  static_cast<void>(park_until(ready, now, std::nullopt, [] {}));
}

const std::byte* Channel::next(FrameHeader& header, std::uint64_t begun, const Limit& limit) {
  const std::byte* payload = nullptr;
  const RingReader::Peek peek = tasks_.peek(header, payload);
  if (peek == RingReader::Peek::nothing) {
    Time now = meter_.pause(begun);
    const Wait wait = park_until([this] { return tasks_.pending(); }, now, limit,
                                 [this] { meter_.finish_span(); });
    if (wait == Wait::was_in_vain) return nullptr;
    if (wait == Wait::was_a_sleep || meter_.is_exact()) {
      meter_.resume();
    } else {
      meter_.resume_about(now);
    }
    return read(header);
  }
  if (peek != RingReader::Peek::frame) ::_exit(kExitBrokenInbox);
  return payload;
}

void Channel::turn_away() {
  note_sleep();
  ring_if_parked();
}

const std::byte* Channel::next_piece(FrameHeader& header) {
  if (!tasks_.pending()) park_until([this] { return tasks_.pending(); });
  return read(header);
}

const std::byte* Channel::read(FrameHeader& header) {
  const std::byte* payload = nullptr;
  if (tasks_.peek(header, payload) != RingReader::Peek::frame) ::_exit(kExitBrokenInbox);
  return payload;
}

void Channel::wait_for_room(std::uint64_t wanted) {
  park_until([&] { return answers_.room(wanted) >= wanted; });
}

void Channel::wait_until_taken() {
  park_until([this] { return answers_.empty(); });
}

void Channel::ring_if_parked() {
  const std::uint64_t bell = in_.bell_at.load(std::memory_order_relaxed);
  if (bell != kNoBell && !doorbell_.ring()) deaf_ = true;
}

bool MessageReader::more() {
  while (more_ && at_ == end_) next_frame();
  return at_ != end_;
}

void MessageReader::next_frame() {
  channel_.tasks().advance();
  channel_.tasks().release();
  FrameHeader header;
  at_ = channel_.next_piece(header);
  end_ = at_ + header.length;
  more_ = header.more != 0;
  restart_task_time();
}

void MessageWriter::begin_frame() {
  RingWriter& answers = channel_.answers();
  std::uint64_t room = answers.room(kMinRoom);
  if (room < kMinRoom) {
    channel_.wait_for_room(kMinRoom);
    room = answers.room(kMinRoom);
  }
  room = std::min(room, std::max(answers.inline_limit(), kMinRoom));
  begin_ = answers.reserve(room);
  at_ = begin_;
  end_ = begin_ + room;
}

void MessageWriter::write_slow(const std::byte* data, std::size_t size) {
  while (size != 0) {
    if (at_ == end_) {
      send(1);
      std::atomic_thread_fence(std::memory_order_seq_cst);
      channel_.ring_if_parked();
      begin_frame();
    }
    const std::size_t step = std::min(size, static_cast<std::size_t>(end_ - at_));
    std::memcpy(at_, data, step);
    at_ += step;
    data += step;
    size -= step;
  }
}

}  // namespace bulkhead::detail
