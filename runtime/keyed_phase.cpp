// SPDX-License-Identifier: MIT
#include "runtime/keyed_phase.hpp"

#include <bulkhead/error.hpp>

#include <array>
#include <string>
#include <utility>

namespace bulkhead::detail {

Settled KeyedPhase::decode(RingReader& answers, std::uint32_t callable, TaskRange tasks) {
  return take_whole(answers, callable, tasks,
                    [this](std::uint64_t task, const auto& bytes) { return take(task, bytes); });
}

std::unique_ptr<LargeResult> KeyedPhase::receive(std::uint64_t task) {
  const auto take_it = [this, task](const auto& bytes) { return take(task, bytes); };
  return std::make_unique<PiecedAnswer<decltype(take_it)>>(take_it);
}

Job::Encoded KeyedPhase::encode(TaskSink& sink, std::uint32_t callable, TaskRange tasks) {
  Encoded encoded;
  for (; encoded.accepted < tasks.count; ++encoded.accepted) {
    const std::uint64_t task = tasks.first + encoded.accepted;
    const bool is_wanted = wants(task) && !has_error();
    if (is_wanted &&
        !sink.put_written(callable, task, [&](SpillWriter& out) { encode_argument(task, out); }))
      break;
    if (is_wanted) continue;
    let_go(task);
    encoded.failed = true;
    encoded.kind = std::nullopt;
    break;
  }
  return encoded;
}

void KeyedPhase::encode_argument(std::uint64_t task, ByteWriter& out) const {
  KeyedTerms terms = plan_.terms;
  terms.ticket = store_.ticket_to_write();
  out.put(terms);
  encode_part(task, out);
}

Settled KeyedPhase::take(std::uint64_t task, std::span<const std::byte> bytes) {
  try {
    SpanReader in(bytes);
    if (in.get<AnswerKind>() == AnswerKind::refused) {
      note_refusal(task, in);
    } else {
      accept(task, in);
    }
    return {1, 0, 0, false};
  } catch (...) {
    fail(task, local_failure(element_of(task, kNoElement), kWhileDecoding));
    return {1, 1, task, false};
  }
}

void KeyedPhase::note_refusal(std::uint64_t task, ByteReader& answer) {
  RunStore& store = store_of(answer.get<std::uint32_t>());
  const auto file = answer.get<RunFile>();
  const auto error = answer.get<std::int32_t>();
  const auto step = Codec<std::string>::decode(answer);
  expect_end(answer);
  try {
    if (store.give_up(file, error)) return do_again(task);
    end_with(std::make_exception_ptr(SystemError(step, error)));
  } catch (const SystemError&) {
    end_with(std::current_exception());
  }
  let_go(task);
}

RunStore& KeyedPhase::store_of(std::uint32_t job) const {
  if (job != store_.ticket().job) throw DecodeError("runs of another job");
  return store_;
}

std::vector<Slice> KeyedPhase::get_slices(ByteReader& in, std::uint64_t count) const {
  in.expect(count, sizeof(Slice));
  std::vector<Slice> slices(count);
  in.read(slices.data(), count * sizeof(Slice));
  std::array<std::uint64_t, kRunFiles> ends{};
  for (RunFile file = 0; file != kRunFiles; ++file) ends.at(file) = store_.bytes(file);
  for (const Slice& slice : slices) {
    const bool is_plain = slice.file == kInMemory || plan_.compress == nullptr;
    const std::uint64_t in_file = is_plain ? slice.bytes : slice.row_frames;
    const bool fits = slice.file < kRunFiles && slice.offset <= ends.at(slice.file) &&
                      in_file <= ends.at(slice.file) - slice.offset &&
                      slice.row_bytes <= slice.bytes;
    if (!fits) throw DecodeError("a slice of a run that cannot be");
  }
  return slices;
}

void KeyedPhase::expect_end(const ByteReader& in) {
  if (in.available() != 0) throw DecodeError("the answer is longer than it should be");
}

void KeyedPhase::raise(const RunReport& report) const {
  if (error_) std::rethrow_exception(error_);
  if (!report.given_up) return;
  if (report.given_up->kind == FailureKind::not_run) throw BrokenPool(report.given_up->message);
  given_up_failure(*report.given_up, 0).raise();
}

}  // namespace bulkhead::detail
