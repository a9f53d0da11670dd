// SPDX-License-Identifier: MIT
//
// A frame: one record in a ring. Header, then `length` bytes of payload, then zero to seven bytes
// that round the whole up to a multiple of eight. Both processes are of one build, so the layout is
// the machine's own. The grammar of a conversation is in serialization/README.md.
#pragma once

#include <cstddef>
#include <cstdint>

namespace bulkhead::detail {

enum class FrameKind : std::uint8_t {
  padding = 1,  ///< fills a ring up to its end; no meaning
  // coordinator to worker
  define,  ///< payload: a callable and its state; `callable` is its number from now on
  drop,    ///< `callable` will not be used again
  task,    ///< payload: the argument of task number `task` of `callable`
  leave,   ///< no task will follow: run the finalizer and exit
  // worker to coordinator
  ready,    ///< the initializer is done
  failed,   ///< payload: the exception of the initializer, or of the finalizer
  value,    ///< payload: the result of `task`
  thrown,   ///< payload: the exception of `task`
  skipped,  ///< tasks were taken back before they began; payload: how many
};

/// The header of a frame. `check` ties the other fields together, against stray writes.
struct FrameHeader {
  std::uint32_t length = 0;
  FrameKind kind = FrameKind::padding;
  std::uint8_t more = 0;  ///< 1: the payload goes on in the next frame
  std::uint16_t attempt = 0;
  std::uint32_t callable = 0;
  std::uint32_t check = 0;
  std::uint64_t task = 0;
};
static_assert(sizeof(FrameHeader) == 24);

inline constexpr std::uint64_t kFrameHeaderBytes = sizeof(FrameHeader);
inline constexpr std::uint64_t kFrameAlign = 8;

/// Bytes that a frame with `length` bytes of payload takes in a ring.
constexpr std::uint64_t frame_bytes(std::uint64_t length) {
  return kFrameHeaderBytes + (length + kFrameAlign - 1) / kFrameAlign * kFrameAlign;
}

/// What `header.check` must be.
constexpr std::uint32_t frame_check(const FrameHeader& header) {
  const std::uint32_t word = static_cast<std::uint32_t>(header.kind) |
                             (static_cast<std::uint32_t>(header.more) << 8) |
                             (static_cast<std::uint32_t>(header.attempt) << 16);
  const std::uint64_t task = header.task * 0x9e3779b97f4a7c15u;
  return header.length ^ word ^ (header.callable * 0x85ebca6bu) ^
         static_cast<std::uint32_t>(task >> 32) ^ 0x62756c6bu;
}

/// True if a header that was copied out of a ring holds together. Says nothing of its length, which
/// only the ring can judge.
constexpr bool frame_is_sound(const FrameHeader& header) {
  return header.kind >= FrameKind::padding && header.kind <= FrameKind::skipped &&
         header.more <= 1 && header.check == frame_check(header);
}

}  // namespace bulkhead::detail
