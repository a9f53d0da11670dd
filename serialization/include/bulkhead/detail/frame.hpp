// SPDX-License-Identifier: MIT
//
// A frame: one record in a ring. Header, then `length` bytes of payload, then zero to seven bytes
// that round the whole up to a multiple of eight. Both processes are of one build, so the layout is
// the machine's own. The grammar of a conversation is in serialization/README.md.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace bulkhead::detail {

enum class FrameKind : std::uint8_t {
  padding = 1,  ///< fills a ring up to its end; no meaning
  // coordinator to worker
  begin,   ///< first of all; payload: the number of the worker in its pool
  define,  ///< payload: a callable and its state; `callable` is its number from now on
  drop,    ///< `callable` will not be used again
  task,    ///< payload: the argument of task number `task` of `callable`
  tasks,   ///< payload: the arguments of tasks `task`, `task` + 1, ..., in cells of one size
  leave,   ///< no task will follow: run the finalizer and exit
  // worker to coordinator
  ready,    ///< the initializer is done
  failed,   ///< payload: the exception of the initializer, or of the finalizer
  value,    ///< payload: the result of `task`
  values,   ///< payload: the results of `task`, `task` + 1, ..., in cells; grows: see
            ///< RingWriter::open
  thrown,   ///< payload: the exception of `task`
  waits,    ///< the worker goes on once it sees that all frames up to this one were taken
  skipped,  ///< tasks were taken back before they began; payload: how many
  leaves,   ///< no task that has not begun will: the finalizer runs, for want of tasks
};

/// The header of a frame. `check` ties the other fields together, against stray writes. In a ring
/// it is packed: see put_header().
struct FrameHeader {
  std::uint32_t length = 0;
  FrameKind kind = FrameKind::padding;
  std::uint32_t callable = 0;
  std::uint8_t more = 0;  ///< 1: the payload goes on in the next frame. In a run: words in a cell
  std::uint16_t attempt = 0;
  std::uint32_t check = 0;
  std::uint64_t task = 0;
};

inline constexpr std::uint64_t kFrameHeaderBytes = 24;
inline constexpr std::uint64_t kFrameAlign = 8;

constexpr std::uint64_t aligned(std::uint64_t bytes) {
  return (bytes + kFrameAlign - 1) / kFrameAlign * kFrameAlign;
}
/// Bytes that a frame with `length` bytes of payload takes in a ring.
constexpr std::uint64_t frame_bytes(std::uint64_t length) {
  return kFrameHeaderBytes + aligned(length);
}

/// What `header.check` must be, for a frame at `position` of its ring: bytes that stayed behind
/// from an earlier lap are none.
/// The length of a frame that grows is left out.
constexpr std::uint32_t frame_check(const FrameHeader& header, std::uint64_t position) {
  const std::uint32_t length = header.kind == FrameKind::values ? 0 : header.length;
  const std::uint32_t word = static_cast<std::uint32_t>(header.kind) |
                             (static_cast<std::uint32_t>(header.more) << 8) |
                             (static_cast<std::uint32_t>(header.attempt) << 16);
  const std::uint64_t task = (header.task + position) * 0x9e3779b97f4a7c15u;
  return length ^ word ^ (header.callable * 0x85ebca6bu) ^ static_cast<std::uint32_t>(task >> 32) ^
         0x62756c6bu;
}

// Headers go in and out in words of eight bytes, put together in registers. A copy of the struct
// would read back, in one piece, fields that were just written one by one, and wait until those
// have left the store buffer, behind all stores to memory that the other process is looking at:
// half of what a task costs. For the same reason `kind` and `more` are apart, or compilers compare
// them in one piece.
//
//   word 0   length (32), kind (8), more (8), attempt (16)
//   word 1   callable (32), check (32)
//   word 2   task

/// Writes `header`, with `check` for its own, to the 24 bytes at `to`.
inline void put_header(std::byte* to, const FrameHeader& header, std::uint32_t check) {
  const std::uint64_t words[] = {header.length | static_cast<std::uint64_t>(header.kind) << 32 |
                                     static_cast<std::uint64_t>(header.more) << 40 |
                                     static_cast<std::uint64_t>(header.attempt) << 48,
                                 header.callable | static_cast<std::uint64_t>(check) << 32,
                                 header.task};
  std::memcpy(to, &words[0], sizeof words[0]);
  std::memcpy(to + 8, &words[1], sizeof words[1]);
  std::memcpy(to + 16, &words[2], sizeof words[2]);
}

/// Reads the 24 bytes at `from`, each once.
inline void get_header(FrameHeader& header, const std::byte* from) {
  std::uint64_t words[3];
  std::memcpy(&words[0], from, sizeof words[0]);
  std::memcpy(&words[1], from + 8, sizeof words[1]);
  std::memcpy(&words[2], from + 16, sizeof words[2]);
  header.length = static_cast<std::uint32_t>(words[0]);
  header.kind = static_cast<FrameKind>(static_cast<std::uint8_t>(words[0] >> 32));
  header.more = static_cast<std::uint8_t>(words[0] >> 40);
  header.attempt = static_cast<std::uint16_t>(words[0] >> 48);
  header.callable = static_cast<std::uint32_t>(words[1]);
  header.check = static_cast<std::uint32_t>(words[1] >> 32);
  header.task = words[2];
}

/// The cells of a run (cell.hpp), most of the time few enough that what is in them is soon given
/// back.
inline constexpr std::uint64_t kRunBytes = 1024;
/// How many values a run has.
constexpr std::uint64_t run_length(const FrameHeader& header) {
  return header.length / (header.more * kFrameAlign);
}

/// True if a header that was copied out of a ring holds together. Says nothing of its length, which
/// only the ring can judge.
constexpr bool frame_is_sound(const FrameHeader& header, std::uint64_t position) {
  const bool run = header.kind == FrameKind::tasks || header.kind == FrameKind::values;
  const bool whole =
      run ? header.more != 0 && header.length % (header.more * kFrameAlign) == 0 : header.more <= 1;
  return header.kind >= FrameKind::padding && header.kind <= FrameKind::leaves && whole &&
         header.check == frame_check(header, position);
}

}  // namespace bulkhead::detail
