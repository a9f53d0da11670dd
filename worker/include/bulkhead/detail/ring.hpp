// SPDX-License-Identifier: MIT
//
// A byte ring with one writer and one reader, which are different processes. The writer owns the
// data and the tail; the reader owns the head; neither can write what the other owns (see
// worker/memory.hpp).
//
//   positions only grow; a position modulo capacity() is a place in the data
//   [head, tail)  frames that the reader has not released yet
//
// A frame is contiguous: one that does not fit before the end of the data is preceded by a padding
// frame, or, where not even a header fits, by nothing at all. A frame is published by one release
// store of the tail, after it is complete: a writer that dies half-way has published nothing. Each
// side keeps its own position, and the last seen one of the other side, in private memory, and
// checks what it sees there. Nobody ever waits here.
#pragma once

#include <bulkhead/detail/frame.hpp>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace bulkhead::detail {

using Position = std::atomic<std::uint64_t>;
static_assert(Position::is_always_lock_free);

/// The writing end. One thread.
class RingWriter {
 public:
  RingWriter() = default;
  /// `capacity` is a power of two and at least 128; `data`, `tail` and `head` outlive the writer.
  RingWriter(std::byte* data, std::uint64_t capacity, Position* tail, const Position* head)
      : data_(data), capacity_(capacity), tail_(tail), head_(head) {}

  [[nodiscard]] std::uint64_t capacity() const { return capacity_; }
  /// The longest payload that still leaves room for others.
  [[nodiscard]] std::uint64_t inline_limit() const { return capacity_ / 4; }

  /// Contiguous room for a frame with `payload` bytes: where its payload goes, or nullptr if there
  /// is no such room now. Changes nothing that the reader can see.
  std::byte* reserve(std::uint64_t payload) {
    const std::uint64_t need = frame_bytes(payload);
    gap_ = gap_before(need);
    if (!has_room(gap_ + need)) return nullptr;
    return at(write_ + gap_) + kFrameHeaderBytes;
  }

  /// The largest payload for which reserve() would succeed now, without a wrap if that leaves
  /// `enough`.
  [[nodiscard]] std::uint64_t room(std::uint64_t enough) {
    std::uint64_t here = room_here();
    if (here < enough) {
      refresh_head();
      here = room_here();
    }
    if (here >= enough) return here;
    const std::uint64_t gap = capacity_ - offset(write_);
    const std::uint64_t free = capacity_ - (write_ - head_seen_);
    const std::uint64_t wrapped = payload_within(free > gap ? free - gap : 0);
    return wrapped > here ? wrapped : here;
  }

  /// Completes the reserved frame: writes its header. `header.length` is at most what was reserved.
  void finish(const FrameHeader& header) {
    skip(gap_);
    put_header(at(write_), header, frame_check(header, write_));
    write_ += frame_bytes(header.length);
    gap_ = 0;
  }

  /// Begins the reserved frame as one of kind `values`, which is published bit by bit: see
  /// open_at(). Only it, until it is closed.
  void open(const FrameHeader& header) {
    skip(gap_);
    gap_ = 0;
    put_header(at(write_), header, frame_check(header, write_));
    open_ = header;
  }
  /// The position of its payload. Storing that of a place in it as the tail publishes all before.
  [[nodiscard]] std::uint64_t open_at() const { return write_ + kFrameHeaderBytes; }
  /// Ends the frame where it is. The reader, who looks at the length again, finds the new one: word
  /// 0 of a header is written in one piece.
  void close(std::uint64_t payload) {
    if (payload == 0) return;
    if (payload != open_.length) {
      open_.length = static_cast<std::uint32_t>(payload);
      put_header(at(write_), open_, frame_check(open_, write_));
    }
    write_ += frame_bytes(payload);
  }

  /// Publishes all finished frames.
  void commit() { tail_->store(write_, std::memory_order_release); }

  /// Bytes, headers included, that were finished since the ring began.
  [[nodiscard]] std::uint64_t written() const { return write_; }
  /// Up to where the reader has released; never more than written().
  [[nodiscard]] std::uint64_t released() {
    refresh_head();
    return head_seen_;
  }
  [[nodiscard]] bool empty() { return released() == write_; }
  /// True if the reader's position made no sense at some time. It is then taken as unmoved.
  [[nodiscard]] bool corrupt() const { return corrupt_; }

 private:
  [[nodiscard]] std::uint64_t offset(std::uint64_t position) const {
    return position & (capacity_ - 1);
  }
  [[nodiscard]] std::byte* at(std::uint64_t position) const { return data_ + offset(position); }

  [[nodiscard]] std::uint64_t gap_before(std::uint64_t need) const {
    const std::uint64_t contiguous = capacity_ - offset(write_);
    return need > contiguous ? contiguous : 0;
  }

  static std::uint64_t payload_within(std::uint64_t bytes) {
    return bytes > kFrameHeaderBytes ? bytes - kFrameHeaderBytes : 0;
  }

  [[nodiscard]] std::uint64_t room_here() const {
    const std::uint64_t contiguous = capacity_ - offset(write_);
    const std::uint64_t free = capacity_ - (write_ - head_seen_);
    return payload_within(free < contiguous ? free : contiguous);
  }

  bool has_room(std::uint64_t bytes) {
    if (write_ + bytes - head_seen_ <= capacity_) return true;
    refresh_head();
    return write_ + bytes - head_seen_ <= capacity_;
  }

  void refresh_head() {
    const std::uint64_t head = head_->load(std::memory_order_acquire);
    if (head - head_seen_ > write_ - head_seen_ || head % kFrameAlign != 0) {
      corrupt_ = true;
    } else {
      head_seen_ = head;
    }
  }

  void skip(std::uint64_t gap) {
    if (gap == 0) return;
    if (gap >= kFrameHeaderBytes) {
      FrameHeader padding;
      padding.length = static_cast<std::uint32_t>(gap - kFrameHeaderBytes);
      put_header(at(write_), padding, frame_check(padding, write_));
    }
    write_ += gap;
  }

  std::byte* data_ = nullptr;
  std::uint64_t capacity_ = 0;
  Position* tail_ = nullptr;
  const Position* head_ = nullptr;
  std::uint64_t gap_ = 0;        ///< bytes to be skipped before the reserved frame
  std::uint64_t write_ = 0;      ///< end of what is finished, published or not
  std::uint64_t head_seen_ = 0;  ///< the reader's position when last looked at
  FrameHeader open_;
  bool corrupt_ = false;
};

/// The reading end. One thread.
class RingReader {
 public:
  RingReader() = default;
  RingReader(const std::byte* data, std::uint64_t capacity, const Position* tail, Position* head)
      : data_(data), capacity_(capacity), tail_(tail), head_(head) {}

  enum class Peek : std::uint8_t { nothing, frame, corrupt };

  /// Looks at the next frame: a private copy of its header, and where its payload is. The payload
  /// stays in the ring, where a hostile writer may change it at any time: read each byte once. Of a
  /// frame that grows, what has come since; offset() says where in the frame that is.
  Peek peek(FrameHeader& header, const std::byte*& payload) {
    for (;;) {
      if (taken() == tail_seen_) {
        if (!refresh_tail()) return Peek::corrupt;
        if (taken() == tail_seen_) return Peek::nothing;
      }
      const std::uint64_t offset = read_ & (capacity_ - 1);
      const std::uint64_t contiguous = capacity_ - offset;
      const std::uint64_t filled = tail_seen_ - read_;
      if (contiguous < kFrameHeaderBytes) {
        if (contiguous > filled) return Peek::corrupt;
        read_ += contiguous;
        continue;
      }
      if (filled < kFrameHeaderBytes) return Peek::corrupt;
      get_header(header, data_ + offset);
      const std::uint64_t bytes = frame_bytes(header.length);
      if (bytes > contiguous || !frame_is_sound(header, read_)) return Peek::corrupt;
      if (header.kind == FrameKind::values) {
        const std::uint64_t grown =
            std::min<std::uint64_t>(header.length, filled - kFrameHeaderBytes);
        if (grown < offset_) return Peek::corrupt;
        next_ = read_ + bytes;
        length_ = header.length;
        step_ = grown - offset_;
        if (step_ == 0) {  // closed before it was full
          if (grown != length_) return Peek::corrupt;
          advance();
          continue;
        }
        payload = data_ + offset + kFrameHeaderBytes + offset_;
        header.length = static_cast<std::uint32_t>(step_);
        return Peek::frame;
      }
      if (bytes > filled || offset_ != 0) return Peek::corrupt;
      length_ = step_ = 0;
      if (header.kind != FrameKind::padding) {
        payload = data_ + offset + kFrameHeaderBytes;
        next_ = read_ + bytes;
        return Peek::frame;
      }
      read_ += bytes;
    }
  }

  /// Steps over what peek() showed. Its bytes are still not the writer's: see release().
  void advance() {
    offset_ += step_;
    if (offset_ != length_) return;
    read_ = next_;
    offset_ = length_ = step_ = 0;
  }
  /// How much of the frame that peek() shows has been stepped over.
  [[nodiscard]] std::uint64_t offset() const { return offset_; }
  /// Gives the frames that were stepped over back to the writer.
  void release() {
    released_ = read_;
    head_->store(read_, std::memory_order_release);
  }
  /// True if something was published that has not been stepped over.
  [[nodiscard]] bool pending() const { return unread() != 0; }
  /// Bytes that were published and have not been stepped over, as the writer says.
  [[nodiscard]] std::uint64_t unread() const {
    return tail_->load(std::memory_order_acquire) - taken();
  }
  /// Up to where the writer has published, and not beyond what can be.
  [[nodiscard]] std::uint64_t published() const { return taken() + std::min(unread(), capacity_); }
  /// True if there is something between what was stepped over and `position`.
  [[nodiscard]] bool is_before(std::uint64_t position) const {
    return static_cast<std::int64_t>(position - taken()) > 0;
  }
  [[nodiscard]] std::uint64_t position() const { return read_; }
  /// Up to where release() has given back: not padding that was stepped over since.
  [[nodiscard]] std::uint64_t released() const { return released_; }
  [[nodiscard]] std::uint64_t capacity() const { return capacity_; }

 private:
  /// Up to where everything was stepped over.
  [[nodiscard]] std::uint64_t taken() const {
    return offset_ == 0 ? read_ : read_ + kFrameHeaderBytes + offset_;
  }

  /// False if the writer's position makes no sense.
  bool refresh_tail() {
    const std::uint64_t tail = tail_->load(std::memory_order_acquire);
    const std::uint64_t stepped_over = taken() - released_;
    if (tail - released_ > capacity_ || tail - released_ < stepped_over) return false;
    if (tail % kFrameAlign != 0) return false;
    tail_seen_ = tail;
    return true;
  }

  const std::byte* data_ = nullptr;
  std::uint64_t capacity_ = 0;
  const Position* tail_ = nullptr;
  Position* head_ = nullptr;
  std::uint64_t read_ = 0;
  std::uint64_t next_ = 0;
  std::uint64_t offset_ = 0;     ///< payload of the frame at read_ that was stepped over: it grows
  std::uint64_t length_ = 0;     ///< of that payload, at least
  std::uint64_t step_ = 0;       ///< what advance() steps over of it
  std::uint64_t released_ = 0;   ///< what the writer may have written over since begins here
  std::uint64_t tail_seen_ = 0;  ///< the writer's position when last looked at
};

}  // namespace bulkhead::detail
