// SPDX-License-Identifier: MIT
#include <bulkhead/bytes.hpp>
#include <bulkhead/error.hpp>

#include <algorithm>
#include <string>

namespace bulkhead {

void ByteReader::expect(std::uint64_t count, std::size_t bytes_each) const {
  const std::uint64_t left = remaining();
  if (count <= left / bytes_each) return;
  throw DecodeError("the data claims " + std::to_string(count) + " elements of at least " +
                    std::to_string(bytes_each) + " bytes, but only " + std::to_string(left) +
                    " bytes are left; writer and reader do not agree on the type");
}

void ByteReader::read_slow(std::byte* out, std::size_t size) {
  while (size != 0) {
    if (at_ == end_ && !more()) {
      throw DecodeError("the data ends " + std::to_string(size) +
                        " bytes too early; writer and reader do not agree on the type");
    }
    const std::size_t step = std::min(size, available());
    if (step != 0) std::memcpy(out, at_, step);
    at_ += step;
    out += step;
    size -= step;
  }
}

namespace detail {

void SpillWriter::write_slow(const std::byte* data, std::size_t size) {
  const std::size_t used = this->size();
  const std::size_t wanted = std::max<std::size_t>({used + size, 2 * used, 4096});
  if (spilled()) {
    heap_.resize(wanted);
  } else {
    std::vector<std::byte> heap(wanted);
    if (used != 0) std::memcpy(heap.data(), begin_, used);
    heap_ = std::move(heap);
  }
  begin_ = heap_.data();
  at_ = begin_ + used;
  end_ = begin_ + heap_.size();
  if (size != 0) std::memcpy(at_, data, size);
  at_ += size;
}

std::vector<std::byte> SpillWriter::take() {
  heap_.resize(size());
  return std::move(heap_);
}

}  // namespace detail
}  // namespace bulkhead
