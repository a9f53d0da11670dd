// SPDX-License-Identifier: MIT
//
// HostileWorker: the other end of a Link, without a process. It knows how an honest worker would
// answer, and does so as long as that leads deeper; and it writes whatever it likes into the memory
// that a worker can write.
#pragma once

#include "tests/fuzz/input.hpp"
#include "worker/link.hpp"
#include "worker/memory.hpp"
#include <bulkhead/detail/frame.hpp>
#include <bulkhead/detail/ring.hpp>

#include <cstddef>
#include <cstdint>
#include <span>

namespace bulkhead::fuzz {

class HostileWorker {
 public:
  /// What the coordinator expects an answer to next.
  struct Front {
    std::uint32_t callable = 0;
    std::uint64_t task = 0;
    std::uint64_t settled = 0;  ///< tasks that were sent before it
    std::uint64_t sent = 0;     ///< tasks that were sent in all
  };

  /// To be made before the link's descriptors are closed.
  HostileWorker(detail::Link& link, std::size_t ring_bytes);

  /// Does one thing.
  void step(Input& input, const Front& front);

 private:
  void speak_as_honest_workers_do(Input& input, const Front& front);
  void answer(Input& input, const Front& front);
  void answer_run(Input& input, const Front& front);
  void throw_exception(Input& input, const Front& front);
  void skip(Input& input, const Front& front);
  void forge(Input& input, const Front& front);
  void set_word(Input& input, const Front& front);
  void scribble(Input& input);
  void scribble_all(Input& input);
  void die_of_signal(Input& input);
  bool put(detail::FrameHeader header, std::span<const std::byte> payload);
  void catch_up();

  detail::Link& link_;
  detail::Memory outbox_;
  detail::OutboxWords& words_;
  detail::Position head_{0};
  detail::RingWriter answers_;
};

}  // namespace bulkhead::fuzz
