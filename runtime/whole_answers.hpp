// SPDX-License-Identifier: MIT
//
// Answers of tasks that a job wants whole: from a frame each, or put together from pieces.
#pragma once

#include <bulkhead/detail/job.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

namespace bulkhead::detail {

/// Job::decode() of such a job: `take(task, bytes)` says how one has ended.
template <class Take>
Settled take_whole(RingReader& answers, std::uint32_t callable, TaskRange tasks, Take take) {
  Settled settled;
  FrameHeader header;
  const std::byte* payload = nullptr;
  while (settled.count < tasks.count) {
    const std::uint64_t task = tasks.first + settled.count;
    if (answers.peek(header, payload) != RingReader::Peek::frame) break;
    if (header.kind != FrameKind::value || header.more != 0 || header.callable != callable ||
        header.task != task) {
      break;
    }
    const Settled one = take(task, std::vector<std::byte>(payload, payload + header.length));
    settled.failed += one.failed;
    ++settled.count;
    answers.advance();
  }
  return settled;
}

/// Job::receive() likewise: `take(bytes)`.
template <class Take>
class PiecedAnswer final : public LargeResult {
 public:
  explicit PiecedAnswer(Take take) : take_(std::move(take)) {}
  void add(std::span<const std::byte> bytes) override {
    bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
  }
  Settled finish() override { return take_(std::move(bytes_)); }

 private:
  Take take_;
  std::vector<std::byte> bytes_;
};

}  // namespace bulkhead::detail
