// SPDX-License-Identifier: MIT
#include <bulkhead/detail/task_sink.hpp>

namespace bulkhead::detail {

bool LargeMessage::pump(RingWriter& ring) {
  while (const std::optional<std::uint64_t> size = next_piece(ring)) {
    std::byte* to = ring.reserve(*size);
    if (to == nullptr) return false;
    copy_next(to, *size);
    header_.length = static_cast<std::uint32_t>(*size);
    header_.more = left() != 0 ? 1 : 0;
    ring.finish(header_);
    ring.commit();
    if (header_.more == 0) return true;
  }
  return false;
}

void LargeMessage::copy_next(std::byte* to, std::uint64_t bytes) {
  if (sent_ < head_.size()) {
    const std::uint64_t step = std::min<std::uint64_t>(bytes, head_.size() - sent_);
    std::memcpy(to, head_.data() + sent_, step);
    sent_ += step;
    to += step;
    bytes -= step;
  }
  if (bytes != 0) std::memcpy(to, tail_.data() + (sent_ - head_.size()), bytes);
  sent_ += bytes;
}

}  // namespace bulkhead::detail
