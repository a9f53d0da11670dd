// SPDX-License-Identifier: MIT
#pragma once

#include <bulkhead/detail/ring.hpp>

#include <cstddef>
#include <cstdint>
#include <vector>

namespace bulkhead::test {

/// A ring on plain memory, and both of its ends.
struct RingEnds {
  explicit RingEnds(std::uint64_t capacity)
      : data(capacity),
        writer(data.data(), capacity, &tail, &head),
        reader(data.data(), capacity, &tail, &head) {}
  RingEnds(const RingEnds&) = delete;
  RingEnds& operator=(const RingEnds&) = delete;

  detail::RingReader::Peek peek() {
    detail::FrameHeader header;
    const std::byte* payload = nullptr;
    return reader.peek(header, payload);
  }

  std::vector<std::byte> data;
  detail::Position tail{0};
  detail::Position head{0};
  detail::RingWriter writer;
  detail::RingReader reader;
};

}  // namespace bulkhead::test
