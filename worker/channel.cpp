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

// See wake.hpp for why nothing is lost: parked is stored, then a fence, then `ready` looks again.
template <class Ready, class BeforeSleep>
bool Channel::park_until(Ready ready, Time& now, BeforeSleep before_sleep) {
  bool slept = false;
  while (!ready()) {
    if (in_.may_spin.load(std::memory_order_relaxed) != 0) {
      if (slept) now = WorkMeter::Clock::now();
      if (spin_until(ready, now)) return slept;
    }
    slept = true;
    before_sleep();
    const std::uint32_t seen = in_.wake.load(std::memory_order_acquire);
    out_.parked.store(++parked_, std::memory_order_relaxed);
    std::atomic_thread_fence(std::memory_order_seq_cst);
    if (!ready()) {
      ring_if_parked();
      futex_wait(in_.wake, seen);
    }
    out_.parked.store(++parked_, std::memory_order_relaxed);
  }
  return slept;
}

template <class Ready>
void Channel::park_until(Ready ready) {
  Time now = WorkMeter::Clock::now();
  park_until(ready, now, [] {});
}

const std::byte* Channel::next(FrameHeader& header) {
  const std::byte* payload = nullptr;
  const RingReader::Peek peek = tasks_.peek(header, payload);
  if (peek == RingReader::Peek::nothing) {
    Time now = meter_.pause(out_.started.load(std::memory_order_relaxed));
    const bool slept = park_until([this] { return tasks_.pending(); }, now, [this] { meter_.finish_span(); });
    if (slept || meter_.is_exact()) {
      meter_.resume();
    } else {
      meter_.resume_about(now);
    }
    return read(header);
  }
  if (peek != RingReader::Peek::frame) ::_exit(kExitBrokenInbox);
  return payload;
}

const std::byte* Channel::next_piece(FrameHeader& header) {
  if (!tasks_.pending())
    park_until([this] { return tasks_.pending(); });
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
