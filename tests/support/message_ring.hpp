// SPDX-License-Identifier: MIT
//
// Both ends of a ring that carries strings.
#pragma once

#include "tests/support/ring_ends.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include <gtest/gtest.h>

namespace bulkhead::test {

/// What went into a ring, or came out of it.
struct Message {
  std::uint64_t task = 0;
  std::string payload;
  bool operator==(const Message&) const = default;
};

struct MessageRing : RingEnds {
  using RingEnds::RingEnds;

  /// Finishes a frame, but does not publish it. False if there is no room.
  bool put(const Message& message) {
    std::byte* to = writer.reserve(message.payload.size());
    if (to == nullptr) return false;
    std::copy_n(reinterpret_cast<const std::byte*>(message.payload.data()), message.payload.size(),
                to);
    detail::FrameHeader header;
    header.kind = detail::FrameKind::task;
    header.length = static_cast<std::uint32_t>(message.payload.size());
    header.task = message.task;
    writer.finish(header);
    return true;
  }
  bool put(std::size_t size) { return put({0, std::string(size, 'x')}); }

  /// The next message, stepped over but not released.
  std::optional<Message> take() {
    detail::FrameHeader header;
    const std::byte* payload = nullptr;
    if (reader.peek(header, payload) != detail::RingReader::Peek::frame) return std::nullopt;
    reader.advance();
    return Message{header.task, {reinterpret_cast<const char*>(payload), header.length}};
  }

  /// Moves both ends of the empty ring to `offset`, which is 0 or at least a header away from it.
  void move_to(std::uint64_t offset) {
    if (offset == 0) return;
    ASSERT_TRUE(put(offset - detail::kFrameHeaderBytes));
    writer.commit();
    ASSERT_TRUE(take());
    reader.release();
  }

  /// A header in the ring's data as a hostile writer may have put it there.
  void forge(std::uint64_t offset, detail::FrameHeader header) {
    detail::put_header(data.data() + offset, header, header.check);
  }
};

}  // namespace bulkhead::test
