// SPDX-License-Identifier: MIT
//
// KeyedPhase: what both phases of a keyed job are as jobs. Tasks have answers that are taken whole,
// and write runs, which may fail for want of room: then the task is done by somebody again, as long
// as there is another folder to write to.
#pragma once

#include "runtime/whole_answers.hpp"
#include <bulkhead/detail/keyed_job.hpp>
#include <bulkhead/detail/map_job.hpp>

#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <span>
#include <vector>

namespace bulkhead::detail {

class KeyedPhase : public Job {
 public:
  /// Its tasks write to `store`.
  KeyedPhase(const KeyedCallable& callable, const KeyedPlan& plan, RunStore& store)
      : plan_(plan), store_(store), callable_(callable) {}

  [[nodiscard]] Describe describe() const final { return callable_.describe; }
  [[nodiscard]] bool has_state() const final { return callable_.has_state; }
  void encode_state(ByteWriter& out) const final {
    if (has_state()) callable_.encode_state(out);
  }
  [[nodiscard]] bool stops_at_failure() const final { return false; }
  [[nodiscard]] bool has_steps() const final { return true; }
  void attach(std::uint64_t, std::shared_ptr<const TaskOutput>) final {}
  Settled decode(RingReader& answers, std::uint32_t callable, TaskRange tasks) final;
  std::unique_ptr<LargeResult> receive(std::uint64_t task) final;
  Encoded encode(TaskSink& sink, std::uint32_t callable, TaskRange tasks) final;
  void encode_argument(std::uint64_t task, ByteWriter& out) const final;

  /// Throws what the phase ended with, if it was not its end.
  void raise(const RunReport& report) const;

 protected:
  /// The argument behind the terms.
  virtual void encode_part(std::uint64_t task, ByteWriter& out) const = 0;
  /// Throws if the bytes make no sense, and then nothing has happened.
  virtual void accept(std::uint64_t task, ByteReader& answer) = 0;
  /// That job's files. Throws if there is no such job.
  [[nodiscard]] virtual RunStore& store_of(std::uint32_t job) const;
  /// It has not been run, and is not wanted.
  virtual void let_go(std::uint64_t task) = 0;
  /// It has not been done, for no fault of its own.
  virtual void do_again(std::uint64_t task) = 0;
  /// Of the files of this job. Throws if the bytes make no sense.
  [[nodiscard]] std::vector<Slice> get_slices(ByteReader& in, std::uint64_t count) const;
  /// Throws if there are more bytes.
  static void expect_end(const ByteReader& in);
  /// What the call throws is decided.
  void end_with(std::exception_ptr error) { error_ = std::move(error); }
  [[nodiscard]] bool has_error() const { return error_ != nullptr; }
  [[nodiscard]] const char* step() const { return callable_.step; }

  const KeyedPlan& plan_;
  RunStore& store_;

 private:
  Settled take(std::uint64_t task, std::span<const std::byte> bytes);
  void note_refusal(std::uint64_t task, ByteReader& answer);

  const KeyedCallable& callable_;
  std::exception_ptr error_;
};

}  // namespace bulkhead::detail
