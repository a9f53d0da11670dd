// SPDX-License-Identifier: MIT
//
// What comes from a worker: answers, in order, and what it says beside them.
#include "runtime/slot.hpp"
#include "worker/serve.hpp"
#include <bulkhead/detail/exception_record.hpp>

#include <cstring>
#include <exception>
#include <utility>

namespace bulkhead::detail {
namespace {

/// An exception larger than this is not one that encode_exception() wrote.
constexpr std::size_t kMaxExceptionBytes = (kMaxNestedExceptions + 4) * (kMaxMessageBytes + 64);

constexpr std::uint64_t kFullPipe = std::uint64_t{60} << 10;
/// Who drives the pool is never away from it for so long, but in a function of the user's, or
/// stopped.
constexpr std::chrono::milliseconds kAbsence{100};

/// Answers are taken sooner, unless who drives the pool has no CPU, or something else to do.
constexpr std::chrono::milliseconds kLate{1};

FailureDetails decode_exception_or_say_why(std::span<const std::byte> bytes) {
  try {
    SpanReader in(bytes);
    return decode_exception(in);
  } catch (const std::exception& error) {
    FailureDetails details;
    details.kind = FailureKind::exception;
    details.type_name = "an exception that could not be read";
    details.message = error.what();
    return details;
  }
}

}  // namespace

/// The index in its call of a task that has not been answered, or of its first element.
std::optional<std::uint64_t> Slot::index_of(std::uint64_t number) const {
  if (number <= settled_ || number > settled_ + queue_.size()) return std::nullopt;
  const Run task = queue_.at(number - 1 - settled_);
  return task.job->job.element_of(task.tasks.first, kNoElement);
}

bool Slot::hear() {
  if (!transcript_) return true;
  const std::uint64_t before = transcript_->bytes();
  const bool all = transcript_->read([this](std::uint64_t number) { return index_of(number); });
  const Time now = std::chrono::steady_clock::now();
  const auto pause = now - std::exchange(heard_, now);
  // A pipe that has so much in it was full, and the worker has waited for us. Not to be excused:
  // one that fills it all the time, while we look.
  if (transcript_->bytes() - before < kFullPipe || pause < kAbsence) return all;
  clocked_.since += pause;
  if (killed_at && state_ == State::starting) *killed_at += pause;
  return all;
}

bool Slot::drain(Time now) {
  if (!alive()) return false;
  answered_ = 0;
  mixed_answers_ = false;
  const bool any = take_answers();
  if (answered_ != 0) measure(now);
  if (transcript_) transcript_->note_answered(settled_);
  return any;
}

/// All answers of a drain are one measurement. Where they are of several jobs it tells little of
/// each: more than nothing, for one that has not been measured yet.
void Slot::measure(Time now) {
  Pace& pace = last_answered_->pace;
  if (!mixed_answers_ || !pace.is_known()) pace.observe(ended_by(now) - busy_since_, answered_);
  busy_since_ = now;
}

/// When the worker ended what it has answered. Where it has long been done with all, as we were
/// away, it knows better: each time that we are away its tasks would seem longer, and it would be
/// given fewer of them.
Slot::Time Slot::ended_by(Time now) const {
  if (!queue_.empty() || now - busy_since_ < kLate) return now;
  const Time by_itself = busy_since(now);
  return by_itself > busy_since_ ? by_itself : now;
}

bool Slot::take_answers() {
  const bool any = take_frames();
  if (!alive() || !link_->tasks().corrupt()) return any;
  doom("it claims to have read what was never written");
  return true;
}

bool Slot::take_frames() {
  RingReader& answers = link_->answers();
  bool any = false;
  // Not what comes meanwhile: whoever runs after a worker that works is always just behind it.
  const std::uint64_t end = answers.published();
  do {
    FrameHeader header;
    const std::byte* payload = nullptr;
    const RingReader::Peek peek = answers.peek(header, payload);
    if (peek == RingReader::Peek::nothing) return any;
    any = true;
    if (peek == RingReader::Peek::corrupt) {
      doom("its outbox holds no frame where one should begin");
    } else if (!handle(header, payload)) {
      doom("it sent an answer that nobody asked for");
    }
  } while (alive() && answers.is_before(end));
  return true;
}

bool Slot::handle(const FrameHeader& header, const std::byte* payload) {
  const std::span<const std::byte> bytes(payload, header.length);
  const bool throws = header.kind == FrameKind::thrown || header.kind == FrameKind::failed;
  if (!throws && !inbound_exception_.empty()) return false;  // it is not complete
  switch (header.kind) {
    case FrameKind::value:
      return take_values(header, payload);
    case FrameKind::values:
      return !inbound_ && !queue_.empty() && take_whole();
    case FrameKind::thrown:
      return take_exception(header, bytes);
    case FrameKind::skipped:
      return take_skipped(header, payload);
    case FrameKind::leaves:
      return take_leave(header);
    case FrameKind::waits:
      link_->answers().advance();
      link_->owe_wake();
      return true;
    case FrameKind::failed:
      return take_complaint(header, bytes);
    case FrameKind::ready:
      link_->answers().advance();
      became_ready_ = state_ == State::starting;
      state_ = State::ready;
      if (pid_ == 0) pid_ = static_cast<int>(header.task);
      return became_ready_;
    default:
      return false;
  }
}

bool Slot::answers_front(const FrameHeader& header) const {
  return !queue_.empty() && header.callable == queue_.front().job->callable &&
         header.task == queue_.front().tasks.first;
}

bool Slot::take_values(const FrameHeader& header, const std::byte* payload) {
  if (!answers_front(header)) return false;
  if (header.more != 0 || inbound_) {
    if (!take_piece(header, {payload, header.length})) return false;
    link_->answers().advance();
    publish();
    return header.more != 0 || take_settled(std::exchange(inbound_, nullptr)->finish());
  }
  return take_whole();
}

/// Results that are not in pieces; the job looks whether they are those of the front tasks.
bool Slot::take_whole() {
  ActiveJob& job = *queue_.front().job;
  return take_settled(job.job.decode(link_->answers(), job.callable, queue_.front().tasks));
}

/// False if there were no answers of the front tasks. One that is lost is as if never given: the
/// worker's end is its task's.
bool Slot::take_settled(const Settled& done) {
  if (done.count != 0) settled(done);
  if (done.lost) doom("it does not hold the Broadcast any more that its answer refers to");
  return done.count != 0 || done.lost;
}

bool Slot::take_piece(const FrameHeader& header, std::span<const std::byte> bytes) {
  if (!inbound_) inbound_ = queue_.front().job->job.receive(header.task);
  inbound_->add(bytes);
  moved_ = true;
  return true;
}

bool Slot::take_exception(const FrameHeader& header, std::span<const std::byte> bytes) {
  if (!answers_front(header)) return false;
  inbound_.reset();
  if (inbound_exception_.size() + bytes.size() > kMaxExceptionBytes) return false;
  inbound_exception_.insert(inbound_exception_.end(), bytes.begin(), bytes.end());
  link_->answers().advance();
  if (header.more != 0) return true;
  FailureDetails details = decode_exception_or_say_why(inbound_exception_);
  inbound_exception_.clear();
  const std::uint64_t element = std::exchange(details.task, header.task);
  details.worker_pid = pid_;
  ran_short_ |= details.kind == FailureKind::out_of_memory;
  hear();
  if (transcript_) details.output = transcript_->take(settled_ + 1);
  ActiveJob& job = *queue_.front().job;
  note_answers(1, details.task);
  job.fail(std::move(details), element);
  return true;
}

bool Slot::take_skipped(const FrameHeader& header, const std::byte* payload) {
  std::uint64_t count = 0;
  if (header.length != sizeof count || inbound_) return false;
  std::memcpy(&count, payload, sizeof count);
  if (!revoking_ || header.task != settled_ || count != revoked_to_ - settled_) return false;
  link_->answers().advance();
  give_back(queue_.size());
  skipped_ += count;
  settled_ = revoked_to_;
  revoking_ = false;
  return true;
}

/// It has begun none of the tasks that it has not answered, and will not.
bool Slot::take_leave(const FrameHeader& header) {
  if (state_ != State::ready || inbound_ || has_left_) return false;
  if (header.task != settled_ || link_->tasks_begun() != settled_) return false;
  link_->answers().advance();
  dismissed_ = has_left_ = true;
  give_back(queue_.size());
  sent_ = settled_;
  outbound_.clear();
  revoking_ = false;
  return true;
}

bool Slot::take_complaint(const FrameHeader& header, std::span<const std::byte> bytes) {
  if (inbound_exception_.size() + bytes.size() > kMaxExceptionBytes) return false;
  inbound_exception_.insert(inbound_exception_.end(), bytes.begin(), bytes.end());
  link_->answers().advance();
  if (header.more != 0) return true;
  const FailureDetails details = decode_exception_or_say_why(inbound_exception_);
  inbound_exception_.clear();
  const std::string what = details.type_name + ": " + details.message;
  has_complained_ = true;
  complaint_ = header.task == kSetupComplaint ? details.message
               : state_ == State::ready       ? "a finalizer threw " + what
                                              : "the initializer threw " + what;
  return true;
}

void Slot::settled(const Settled& settled) {
  ActiveJob& job = *queue_.front().job;
  // A task writes before it answers, so all of it can be heard by now, and is no more than fits.
  hear();
  if (transcript_ && transcript_->captures()) attach_output(settled.count);
  const std::uint64_t first = queue_.front().tasks.first;
  note_answers(settled.count,
               settled.failed != 0 ? std::optional(settled.lowest_failed) : std::nullopt);
  job.settle(first, settled);
}

/// Of the first `count` tasks, which have been answered with values.
void Slot::attach_output(std::uint64_t count) {
  const Run& run = queue_.front();
  for (std::uint64_t i = 0; i < count; ++i) {
    auto output = transcript_->take(settled_ + i + 1);
    if (output) run.job->job.attach(run.tasks.first + i, std::move(output));
  }
}

/// The first `count` tasks have been answered; `failed`, if it is one of them, with no value.
void Slot::note_answers(std::uint64_t count, std::optional<std::uint64_t> failed) {
  ActiveJob& job = *queue_.front().job;
  note_batch(count);
  if (trace_ != nullptr) [[unlikely]]
    trace_answers(count, failed);
  if (answered_ != 0 && last_answered_ != &job) mixed_answers_ = true;
  last_answered_ = &job;
  answered_ += count;
  settled_ += count;
  queue_.pop(count);
  // A task may be answered before its argument has been sent to the end, and its element is gone
  // then. Only the last task sent can be on its way still.
  if (queue_.empty()) cut_task();
  if (settled_ == revoked_to_) revoking_ = false;
  job.deaths_in_definition = 0;
  if (!untried_.empty()) [[unlikely]]
    note_tried(job.callable);
}

}  // namespace bulkhead::detail
