// SPDX-License-Identifier: MIT
#include "tests/fuzz/hostile_worker.hpp"

#include "worker/crash_page.hpp"
#include <bulkhead/bytes.hpp>
#include <bulkhead/codec.hpp>
#include <bulkhead/detail/cell.hpp>
#include <bulkhead/detail/exception_record.hpp>

#include <algorithm>
#include <array>
#include <cstring>
#include <string>
#include <vector>

namespace bulkhead::fuzz {

using namespace bulkhead::detail;

namespace {

/// The value, encoded; or the bytes that the input has instead.
template <class T>
std::vector<std::byte> encoded_or_not(const T& value, Input& input) {
  if (input.coin()) {
    const auto bytes = input.bytes(input.number<std::uint8_t>());
    return {bytes.begin(), bytes.end()};
  }
  SpillWriter out({});
  Codec<T>::encode(value, out);
  return out.take();
}

}  // namespace

HostileWorker::HostileWorker(Link& link, std::size_t ring_bytes)
    : link_(link),
      outbox_(link.outbox_fd(), outbox_bytes(ring_bytes), Memory::Access::read_write),
      words_(outbox_words(outbox_)),
      answers_(outbox_data(outbox_), ring_bytes, &words_.tail, &head_) {}

void HostileWorker::step(Input& input, const Front& front) {
  switch (input.choice(8)) {
    case 0:
      return set_word(input, front);
    case 1:
      return scribble(input);
    case 2:
      return forge(input, front);
    case 3:
      return input.choice(16) == 0 ? scribble_all(input) : die_of_signal(input);
    default:
      return speak_as_honest_workers_do(input, front);
  }
}

void HostileWorker::speak_as_honest_workers_do(Input& input, const Front& front) {
  FrameHeader header;
  switch (input.choice(9)) {
    case 0:
      header.kind = FrameKind::ready;
      put(header, {});
      return;
    case 1:
      return words_.started.store(front.settled + 1);
    case 2:
      return answer(input, front);
    case 3:
      return answer_run(input, front);
    case 4:
      return throw_exception(input, front);
    case 5:
      return skip(input, front);
    case 6:
      header.kind = FrameKind::waits;
      put(header, {});
      return;
    case 7:
      return words_.parked.store(words_.parked.load() + 1);
    default:
      return words_.inbox_head.store(link_.tasks().written());
  }
}

/// The result of the front task, or a piece of one.
void HostileWorker::answer(Input& input, const Front& front) {
  FrameHeader header;
  header.kind = FrameKind::value;
  header.callable = front.callable;
  header.task = front.task + (input.choice(8) == 0 ? input.number<std::uint8_t>() : 0);
  header.more = static_cast<std::uint8_t>(input.choice(2));
  if (front.callable == 1) {
    put(header, encoded_or_not(static_cast<std::int64_t>(header.task), input));
  } else {
    put(header, encoded_or_not(std::vector<std::string>{std::to_string(header.task), "x"}, input));
  }
}

/// Results in cells; the frame may end before all that it could hold, or be left open.
void HostileWorker::answer_run(Input& input, const Front& front) {
  constexpr std::uint32_t kCell = kResultCell<std::int64_t>;
  const auto most = static_cast<std::uint32_t>(1 + input.choice(8));
  const std::uint64_t done = std::min<std::uint64_t>(input.choice(9), most);
  FrameHeader header;
  header.kind = FrameKind::values;
  header.callable = front.callable;
  header.task = front.task;
  header.more = kCell / kFrameAlign;
  header.length = most * kCell;
  catch_up();
  std::byte* cells = answers_.reserve(header.length);
  if (cells == nullptr) return;
  answers_.open(header);
  for (std::uint64_t i = 0; i < done; ++i)
    put_result(cells + i * kCell, static_cast<std::int64_t>(front.task + i), front.task + i);
  words_.started.store(front.settled + done);
  words_.tail.store(answers_.open_at() + done * kCell);
  if (input.coin()) answers_.close(done * kCell);
}

void HostileWorker::throw_exception(Input& input, const Front& front) {
  FailureDetails details;
  details.message = "of task " + std::to_string(front.task);
  SpillWriter out({});
  encode_exception(details, out);
  std::vector<std::byte> bytes = out.take();
  if (input.coin()) bytes.resize(input.number<std::uint8_t>());
  FrameHeader header;
  header.kind = input.choice(4) == 0 ? FrameKind::failed : FrameKind::thrown;
  header.callable = front.callable;
  header.task = front.task;
  header.more = static_cast<std::uint8_t>(input.choice(2));
  put(header, bytes);
}

/// Tasks that were taken back, if the coordinator has taken any.
void HostileWorker::skip(Input& input, const Front& front) {
  const std::uint64_t count = front.sent - front.settled + input.choice(4) / 3;
  FrameHeader header;
  header.kind = FrameKind::skipped;
  header.task = front.settled;
  put(header, std::as_bytes(std::span(&count, 1)));
}

/// A frame of any content that lies properly in its place, with a proper check.
void HostileWorker::forge(Input& input, const Front& front) {
  FrameHeader header;
  header.kind = static_cast<FrameKind>(input.number<std::uint8_t>());
  header.callable = front.callable + static_cast<std::uint32_t>(input.choice(3));
  header.more = static_cast<std::uint8_t>(input.choice(4));
  header.task = front.task + input.choice(4);
  const auto payload = input.bytes(input.number<std::uint8_t>());
  const bool hides_its_length = input.choice(4) == 0;
  const std::uint64_t at = answers_.written();
  if (!put(header, payload) || !hides_its_length) return;
  header.length = input.number<std::uint32_t>();
  const std::uint64_t offset = at & (answers_.capacity() - 1);
  if (offset + kFrameHeaderBytes > answers_.capacity()) return;
  put_header(outbox_data(outbox_) + offset, header, frame_check(header, at));
}

void HostileWorker::set_word(Input& input, const Front& front) {
  const bool near = input.coin();
  const std::size_t word = input.choice(5);
  const auto value =
      near ? input.number<std::uint8_t>() - std::uint64_t{128} : input.number<std::uint64_t>();
  switch (word) {
    case 0:
      return words_.tail.store(near ? answers_.written() + 8 * value : value);
    case 1:
      return words_.inbox_head.store(near ? link_.tasks().written() + 8 * value : value);
    case 2:
      return words_.started.store(near ? front.settled + value : value);
    case 3:
      return words_.began_at.store(static_cast<std::int64_t>(value));
    default:
      return words_.parked.store(static_cast<std::uint32_t>(value));
  }
}

void HostileWorker::scribble(Input& input) {
  const std::span<std::byte> memory(outbox_.data(), outbox_.size());
  const std::size_t offset = input.number<std::uint16_t>() % memory.size();
  const auto bytes = input.bytes(input.number<std::uint8_t>());
  std::ranges::copy(bytes.first(std::min(bytes.size(), memory.size() - offset)),
                    memory.begin() + static_cast<std::ptrdiff_t>(offset));
}

/// Everything, with the same byte or with different ones.
void HostileWorker::scribble_all(Input& input) {
  std::uint32_t state = input.number<std::uint8_t>();
  const std::uint32_t factor = input.coin() ? 1'664'525 : 1;
  for (std::size_t i = 0; i < outbox_.size(); ++i) {
    outbox_.data()[i] = static_cast<std::byte>(state >> 24U);
    state = state * factor + (factor >> 1U);
  }
}

void HostileWorker::die_of_signal(Input& input) {
  auto* page = reinterpret_cast<CrashPage*>(crash_page(outbox_));
  CrashPage report;
  report.signal = kFatalSignals[input.choice(kFatalSignals.size())];
  report.state = kComplete;
  report.message_size = input.number<std::uint16_t>();
  report.frame_count = input.number<std::uint8_t>();
  std::memcpy(static_cast<void*>(page), &report, sizeof report);
}

bool HostileWorker::put(FrameHeader header, std::span<const std::byte> payload) {
  catch_up();
  std::byte* to = answers_.reserve(payload.size());
  if (to == nullptr) return false;
  if (!payload.empty()) std::memcpy(to, payload.data(), payload.size());
  header.length = static_cast<std::uint32_t>(payload.size());
  answers_.finish(header);
  answers_.commit();
  return true;
}

/// Sees what the coordinator has read.
void HostileWorker::catch_up() {
  head_.store(std::min(link_.answers().position(), answers_.written()));
}

}  // namespace bulkhead::fuzz
