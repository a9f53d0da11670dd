// SPDX-License-Identifier: MIT
//
// Both ends of a ring whose other side writes whatever it likes, whenever it likes: the data, and
// its position. Nothing outside the data is touched, and nothing is seen twice.
#include "tests/fuzz/input.hpp"
#include "tests/fuzz/require.hpp"
#include "tests/support/ring_ends.hpp"

#include <bit>
#include <cstring>
#include <numeric>

namespace bulkhead::fuzz {
namespace {

using namespace bulkhead::detail;
using Peek = RingReader::Peek;

class HostileRing {
 public:
  explicit HostileRing(std::uint64_t capacity) : ring_(capacity) {}

  void step(Input& input) {
    switch (input.choice(10)) {
      case 0:
        return honest_frame(input);
      case 1:
        return read_all();
      case 2:
        return read_one();
      case 3:
        return ring_.reader.release();
      case 4:
        return forge(input);
      case 5:
        return scribble(input);
      case 6:
        return ring_.tail.store(position(input));
      case 7:
        return ring_.head.store(position(input));
      case 8:
        return grow(input);
      default:
        return write(input);
    }
  }

  /// A reader gets to an end of whatever there is.
  void read_all() {
    for (std::uint64_t frames = 0; read_one_frame(); ++frames) {
      require(frames <= ring_.data.size() / kFrameAlign, "a ring holds no endless frames");
    }
  }

 private:
  /// Anywhere, or a few words from where things are.
  std::uint64_t position(Input& input) {
    switch (input.choice(4)) {
      case 0:
        return input.number<std::uint64_t>();
      case 1:
        return ring_.writer.written() + input.number<std::uint8_t>();
      case 2:
        return ring_.reader.position() + 8U * input.number<std::uint8_t>();
      default:
        return ring_.reader.position() - 8U * input.number<std::uint8_t>();
    }
  }

  static FrameHeader header_from(Input& input) {
    FrameHeader header;
    header.kind = static_cast<FrameKind>(input.number<std::uint8_t>());
    header.more = input.number<std::uint8_t>();
    header.length = input.coin() ? input.number<std::uint32_t>() : input.number<std::uint8_t>();
    header.task = input.number<std::uint8_t>();
    return header;
  }

  /// Moves both ends on, so that what follows may happen at any place.
  void honest_frame(Input& input) {
    FrameHeader header;
    header.kind = FrameKind::value;
    header.length = input.number<std::uint8_t>();
    if (ring_.writer.reserve(header.length) == nullptr) return;
    ring_.writer.finish(header);
    ring_.writer.commit();
  }

  /// A header that is sound wherever it matters, at the reader's position or near it.
  void forge(Input& input) {
    const std::uint64_t at = ring_.reader.position() + 8U * input.number<std::uint8_t>();
    const std::uint64_t offset = at % ring_.data.size();
    if (offset + kFrameHeaderBytes > ring_.data.size()) return;
    const FrameHeader header = header_from(input);
    put_header(ring_.data.data() + offset, header, frame_check(header, at));
    if (input.coin()) ring_.tail.store(at + frame_bytes(header.length));
  }

  void scribble(Input& input) {
    const std::size_t offset = input.number<std::uint16_t>() % ring_.data.size();
    const auto bytes = input.bytes(input.number<std::uint8_t>());
    const std::size_t size = std::min(bytes.size(), ring_.data.size() - offset);
    if (size != 0) std::memcpy(ring_.data.data() + offset, bytes.data(), size);
  }

  /// A run whose length is not what it was said to be.
  void grow(Input& input) {
    FrameHeader header;
    header.kind = FrameKind::values;
    header.more = static_cast<std::uint8_t>(1 + input.choice(3));
    const std::uint32_t cell = header.more * 8U;
    header.length = cell * static_cast<std::uint32_t>(1 + input.choice(16));
    if (ring_.writer.reserve(header.length) == nullptr) return;
    ring_.writer.open(header);
    const std::uint64_t shown = 8U * input.choice(64);
    ring_.tail.store(ring_.writer.open_at() + std::min<std::uint64_t>(shown, header.length));
    if (input.coin()) read_one();
    ring_.writer.close(std::min<std::uint64_t>(cell * input.choice(16), header.length));
    if (input.coin()) ring_.writer.commit();
  }

  /// What a writer is given lies in the data, whatever the head is.
  void write(Input& input) {
    const std::uint64_t room = ring_.writer.room(input.number<std::uint8_t>());
    require(room <= ring_.data.size(), "there is no more room than the ring has");
    const std::uint64_t size = input.number<std::uint16_t>() % (ring_.data.size() + 64);
    std::byte* to = ring_.writer.reserve(size);
    if (to == nullptr) return;
    std::memset(to, 0x5a, size);
    FrameHeader header;
    header.kind = FrameKind::task;
    header.length = static_cast<std::uint32_t>(size);
    ring_.writer.finish(header);
    require(ring_.writer.released() <= ring_.writer.written(), "nothing unwritten is released");
  }

  void read_one() { (void)read_one_frame(); }

  bool read_one_frame() {
    FrameHeader header;
    const std::byte* payload = nullptr;
    const std::uint64_t before = ring_.reader.position() + ring_.reader.offset();
    if (ring_.reader.peek(header, payload) != Peek::frame) return false;
    require(frame_bytes(header.length) <= ring_.data.size(), "a frame fits into its ring");
    const auto* begin = reinterpret_cast<const std::uint8_t*>(payload);
    sum_ = std::accumulate(begin, begin + header.length, unsigned{sum_});  // reads each byte
    ring_.reader.advance();
    require(ring_.reader.position() + ring_.reader.offset() > before, "no frame comes twice");
    return true;
  }

  test::RingEnds ring_;
  volatile unsigned sum_ = 0;
};

}  // namespace
}  // namespace bulkhead::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  bulkhead::fuzz::Input input(data, size);
  bulkhead::fuzz::HostileRing ring(std::uint64_t{128} << input.choice(4));
  while (!input.empty()) ring.step(input);
  ring.read_all();
  return 0;
}
