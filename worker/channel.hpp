// SPDX-License-Identifier: MIT
//
// The worker's side of a conversation: reads the payload of a message that may come in several
// frames, writes one that may leave in several. Both sleep where they have to wait for the
// coordinator. One thread.
#pragma once

#include "worker/memory.hpp"
#include "worker/spin.hpp"
#include "worker/wake.hpp"
#include "worker/work_meter.hpp"
#include <bulkhead/bytes.hpp>
#include <bulkhead/detail/frame.hpp>
#include <bulkhead/detail/ring.hpp>

#include <chrono>
#include <cstdint>
#include <optional>

namespace bulkhead::detail {

/// A worker's rings, and how it waits for them.
class Channel {
 public:
  /// `meter` is told of waits for tasks.
  Channel(const Memory& inbox, const Memory& outbox, std::uint64_t ring_bytes,
          const Doorbell& doorbell, WorkMeter& meter);

  RingReader& tasks() { return tasks_; }
  RingWriter& answers() { return answers_; }
  OutboxWords& words() { return out_; }
  [[nodiscard]] const InboxWords& inbox_words() const { return in_; }

  using Limit = std::optional<std::chrono::nanoseconds>;

  /// The next frame of the inbox; sleeps until there is one. `begun` tasks have ended before. Null
  /// if none comes within the limit.
  const std::byte* next(FrameHeader& header, std::uint64_t begun,
                        const Limit& limit = std::nullopt);
  /// The same in the midst of a message, while its task runs.
  const std::byte* next_piece(FrameHeader& header);
  /// Nothing of the inbox will be read any more: looks as if asleep, whatever comes.
  void turn_away();
  /// Sleeps until the coordinator has taken something out of the outbox.
  void wait_for_room(std::uint64_t wanted);
  /// Sleeps until the coordinator has taken all answers.
  void wait_until_taken();
  /// Wakes the coordinator if it sleeps and has asked to be woken once the worker is at `position`.
  /// A full fence must lie between the last store that it should see and this call. False if it
  /// cannot be woken any more, as a task has closed the doorbell.
  [[nodiscard]] bool ring_if_due(std::uint64_t position) {
    if (deaf_) [[unlikely]]
      return false;
    const std::uint64_t bell = in_.bell_at.load(std::memory_order_relaxed);
    if (bell > position || bell == rung_) return true;
    rung_ = bell;
    return doorbell_.ring();
  }
  /// True if that has failed, or an earlier attempt.
  [[nodiscard]] const bool& deaf() const { return deaf_; }
  /// A task has closed descriptors of ours: as if the doorbell were among them.
  void lose() { deaf_ = true; }
  /// False if a task, or the initializer, has closed the doorbell.
  [[nodiscard]] bool can_ring() const { return doorbell_.usable(); }
  /// Wakes the coordinator if it sleeps. If it cannot be woken, as an earlier task has closed the
  /// doorbell, the task that runs is not to suffer for that: the coordinator looks by itself, if
  /// only after a while, and ring_if_due() fails from now on.
  void ring_if_parked();

 private:
  using Time = WorkMeter::Clock::time_point;
  enum class Wait : std::uint8_t {
    was_short,  ///< no sleep; it ended no later than a moment after `now`
    was_a_sleep,
    was_in_vain,  ///< the time was up
  };

  const std::byte* read(FrameHeader& header);
  template <class Ready, class BeforeSleep>
  Wait park_until(Ready ready, Time& now, const Limit& limit, BeforeSleep before_sleep);
  template <class Ready>
  void park_until(Ready ready);
  void note_sleep();
  template <class Ready>
  bool spin_until(Ready ready, Time& now);

  const InboxWords& in_;
  OutboxWords& out_;
  RingReader tasks_;
  RingWriter answers_;
  const Doorbell& doorbell_;
  WorkMeter& meter_;
  Spin spin_;
  std::uint32_t parked_ = 0;      ///< what `parked` should be: a task may have scribbled over it
  bool deaf_ = false;             ///< the doorbell could not be rung
  std::uint64_t rung_ = kNoBell;  ///< the value of bell_at that was answered last
};

/// The payload of one message, whose first frame is the one that Channel::next() returned.
class MessageReader final : public ByteReader {
 public:
  MessageReader(Channel& channel, const FrameHeader& first, const std::byte* payload)
      : channel_(channel), more_(first.more != 0) {
    at_ = payload;
    end_ = payload + first.length;
  }
  /// Steps over the message, whatever was read of it, and gives its bytes back.
  void finish() {
    while (more_) next_frame();
    channel_.tasks().advance();
    channel_.tasks().release();
  }

 private:
  [[nodiscard]] std::uint64_t remaining() const override {
    return more_ ? std::numeric_limits<std::uint64_t>::max() : available();
  }
  bool more() override;
  void next_frame();

  Channel& channel_;
  bool more_;
};

/// The payload of one answer. Nothing of it is seen by the coordinator before finish(), except
/// where it is longer than the room in the ring.
class MessageWriter final : public ByteWriter {
 public:
  MessageWriter(Channel& channel, FrameKind kind, std::uint32_t callable, std::uint64_t task)
      : channel_(channel), kind_(kind), callable_(callable), task_(task) {
    begin_frame();
  }
  /// Publishes the message.
  void finish() { send(0); }

 private:
  /// A frame with less room than this is not worth beginning before the wrap.
  static constexpr std::uint64_t kMinRoom = 64;

  void write_slow(const std::byte* data, std::size_t size) override;
  void begin_frame();
  void send(std::uint8_t more) {
    FrameHeader header;
    header.length = static_cast<std::uint32_t>(at_ - begin_);
    header.kind = kind_;
    header.more = more;
    header.callable = callable_;
    header.task = task_;
    channel_.answers().finish(header);
    channel_.answers().commit();
  }

  Channel& channel_;
  FrameKind kind_;
  std::uint32_t callable_;
  std::uint64_t task_;
  std::byte* begin_ = nullptr;
};

}  // namespace bulkhead::detail
