// SPDX-License-Identifier: MIT
//
// The coordinator's way of putting tasks into one worker's inbox: encoded straight into the ring if
// they are small, kept aside and sent in pieces if they are not.
#pragma once

#include <bulkhead/bytes.hpp>
#include <bulkhead/codec.hpp>
#include <bulkhead/detail/frame.hpp>
#include <bulkhead/detail/ring.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <utility>
#include <vector>

namespace bulkhead::detail {

/// A message on its way into a ring, in pieces. Never waits: pump() sends what there is room for.
class LargeMessage {
 public:
  /// The payload is `head`, then `tail`, which is not copied: it must stay as it is until all is
  /// sent.
  LargeMessage(FrameHeader header, std::vector<std::byte> head,
               std::span<const std::byte> tail = {})
      : header_(header), head_(std::move(head)), tail_(tail) {}

  [[nodiscard]] FrameKind kind() const { return header_.kind; }
  /// Sends and publishes pieces; true once the last one has left.
  bool pump(RingWriter& ring);
  /// True if there is room for a piece.
  [[nodiscard]] bool fits(RingWriter& ring) const { return next_piece(ring).has_value(); }
  /// Nobody waits for the rest any more: ends the message where it is, and lets go of `tail`.
  void cut() {
    if (sent_ < head_.size()) head_.resize(sent_);
    tail_ = {};
    sent_ = head_.size();
  }

 private:
  /// Pieces smaller than this are not sent, unless they are the last.
  static constexpr std::uint64_t kMinPiece = 512;

  [[nodiscard]] std::uint64_t left() const { return head_.size() + tail_.size() - sent_; }
  /// Bytes that could leave at once, none if it is the end of the message; nothing: too few.
  [[nodiscard]] std::optional<std::uint64_t> next_piece(RingWriter& ring) const {
    const std::uint64_t wanted = std::min(left(), ring.inline_limit());
    const std::uint64_t size = std::min(wanted, ring.room(wanted));
    if (size < std::min(wanted, kMinPiece)) return std::nullopt;
    return size;
  }
  void copy_next(std::byte* to, std::uint64_t bytes);

  FrameHeader header_;
  std::vector<std::byte> head_;
  std::span<const std::byte> tail_;
  std::uint64_t sent_ = 0;
};

/// Takes tasks for one worker until the ring is full or one of them is large.
class TaskSink {
 public:
  /// `attempt`: the how-manieth one at each of them.
  explicit TaskSink(RingWriter& ring, std::uint16_t attempt = 1) : ring_(ring), attempt_(attempt) {}

  /// Encodes one task. False if there is no room for it now; then nothing has changed. `value` must
  /// stay as it is until the task is settled. Throws what its codec throws; then nothing has
  /// changed either.
  template <class T>
  bool put(std::uint32_t callable, std::uint64_t task, const T& value) {
    if constexpr (PlainCoded<T>) {
      return put_bytes(task_header(callable, task), {},
                       {reinterpret_cast<const std::byte*>(&value), sizeof value});
    } else if constexpr (BulkCoded<T>) {
      const std::uint64_t count = value.size();
      return put_bytes(task_header(callable, task), std::as_bytes(std::span(&count, 1)),
                       std::as_bytes(std::span(value)));
    } else {
      return put_temporary(callable, task, value);
    }
  }

  /// The same for a value that goes away at once.
  template <class T>
  bool put_temporary(std::uint32_t callable, std::uint64_t task, const T& value) {
    return put_written(callable, task, [&](ByteWriter& out) { Codec<T>::encode(value, out); });
  }

  /// The same for what `write(SpillWriter&)` writes. Its size is known only afterwards, so it is
  /// begun only where the largest inline value has room.
  template <class Write>
  bool put_written(std::uint32_t callable, std::uint64_t task, Write write) {
    const std::uint64_t limit = ring_.inline_limit();
    if (large_ || ring_.room(limit) < limit) return false;
    FrameHeader header = task_header(callable, task);
    SpillWriter out({ring_.reserve(limit), static_cast<std::size_t>(limit)});
    write(out);
    if (out.spilled()) {
      large_.emplace(header, out.take());
    } else {
      header.length = static_cast<std::uint32_t>(out.size());
      ring_.finish(header);
    }
    return true;
  }

  /// The same for what is encoded already.
  bool put_encoded(std::uint32_t callable, std::uint64_t task, std::span<const std::byte> bytes) {
    return put_bytes(task_header(callable, task), {}, bytes);
  }

  /// Room for the arguments of up to `count` tasks (at least one), in cells of `cell` bytes, in one
  /// frame: where they go, and for how many there is room now; null and 0: for none. Nothing has
  /// changed before finish_run().
  std::pair<std::byte*, std::uint64_t> begin_run(std::uint64_t count, std::uint64_t cell) {
    if (large_) return {nullptr, 0};
    const std::uint64_t room = ring_.room(cell) / cell;
    const std::uint64_t fit = std::min({count, room, kRunBytes / cell});
    std::byte* to = fit != 0 ? ring_.reserve(fit * cell) : nullptr;
    return {to, to != nullptr ? fit : 0};
  }
  /// The first `count` cells have been filled.
  void finish_run(std::uint32_t callable, std::uint64_t first, std::uint64_t count,
                  std::uint32_t cell) {
    FrameHeader header = task_header(callable, first);
    header.kind = FrameKind::tasks;
    header.more = static_cast<std::uint8_t>(cell / kFrameAlign);
    header.length = static_cast<std::uint32_t>(count * cell);
    ring_.finish(header);
  }

  /// A task without an argument.
  bool put_empty(std::uint32_t callable, std::uint64_t task) {
    return put_bytes(task_header(callable, task), {}, {});
  }

  /// The task that was too large for the ring, if there was one; nothing can be put after it before
  /// it has been sent.
  std::optional<LargeMessage>& large() { return large_; }

 private:
  bool put_bytes(FrameHeader header, std::span<const std::byte> head,
                 std::span<const std::byte> tail) {
    if (large_) return false;
    const std::uint64_t size = head.size() + tail.size();
    if (size > ring_.inline_limit()) [[unlikely]] {
      large_.emplace(header, std::vector<std::byte>(head.begin(), head.end()), tail);
      return true;
    }
    std::byte* to = ring_.reserve(size);
    if (to == nullptr) return false;
    if (!head.empty()) std::memcpy(to, head.data(), head.size());
    if (!tail.empty()) std::memcpy(to + head.size(), tail.data(), tail.size());
    header.length = static_cast<std::uint32_t>(size);
    ring_.finish(header);
    return true;
  }

  [[nodiscard]] FrameHeader task_header(std::uint32_t callable, std::uint64_t task) const {
    FrameHeader header;
    header.attempt = attempt_;
    header.kind = FrameKind::task;
    header.callable = callable;
    header.task = task;
    return header;
  }

  RingWriter& ring_;
  std::uint16_t attempt_;
  std::optional<LargeMessage> large_;
};

}  // namespace bulkhead::detail
