// SPDX-License-Identifier: MIT
#include "runtime/whole_answers.hpp"
#include <bulkhead/detail/reduce_job.hpp>

#include <algorithm>
#include <chrono>

namespace bulkhead::detail {
namespace {

// Beyond this no element is drawn before others are done. It is not much, as it is only reached
// where a task takes much longer than those after it.
constexpr std::uint64_t kMostSteps = 256;
constexpr std::uint64_t kMostBytes = std::uint64_t{64} << 20;
/// Of nodes that are so large that these take more; and two for each worker.
constexpr std::uint64_t kLeastNodes = 8;

/// The pool waits while elements are drawn: no more than come within this time, at least one.
constexpr std::chrono::milliseconds kDrawTime{1};
constexpr std::uint64_t kMostAtOnce = 64;

constexpr std::size_t kReportBytes = sizeof(ReduceReport);

std::vector<NodeBytes> half_nodes(SpanReader& in) {
  std::vector<NodeBytes> nodes;
  while (!in.exhausted()) {
    const auto size = in.get<std::uint64_t>();
    in.expect(size, 1);
    std::vector<std::byte> bytes(size);
    in.read(bytes.data(), bytes.size());
    nodes.push_back({std::move(bytes)});
  }
  return nodes;
}

}  // namespace

ReduceSteps::ReduceSteps(int workers, const CallOptions& options)
    : workers_(workers), singly_(options.timeout.has_value()), plan_(singly_) {}

// ---------------------------------------------------------------------------------------------------
// Out

Job::Supply ReduceSteps::supply(std::uint64_t wanted) {
  if (!has_ended()) draw_until_ = Clock::now() + kDrawTime;
  while (plan_.known() < wanted && advance()) {
    if (!has_ended() && Clock::now() > draw_until_) break;
  }
  return {plan_.known(), plan_.complete() || source_error_ != nullptr, source_error_ != nullptr};
}

/// True if there is another step.
bool ReduceSteps::advance() {
  const Elements next = plan_.next_block();
  if (next.count == 0) return plan_.conclude();
  if (!plan_.has_leftovers() && !may_draw()) return false;
  size_ = size();
  const auto left = size_ ? std::optional(*size_ - std::min(next.first, *size_)) : std::nullopt;
  const std::uint64_t most = singly_ ? 1 : block_size_.next(left, workers_);
  if (!plan_.has_leftovers()) {
    try {
      draw_block(next.first, std::min(most, next.count));
    } catch (...) {
      source_error_ = std::current_exception();
      return false;
    }
  }
  return plan_.give(most) || plan_.conclude();
}

void ReduceSteps::draw_block(std::uint64_t first, std::uint64_t count) {
  const std::uint64_t wanted = first + count;
  for (std::uint64_t step = 1; drawn() < wanted && !has_ended();) {
    draw(std::min(wanted, drawn() + step));
    step = std::min(step * 2, kMostAtOnce);
    if (drawn() > first && Clock::now() > draw_until_) break;
  }
  plan_.extend(drawn(), has_ended());
}

bool ReduceSteps::may_draw() const {
  if (plan_.open() == 0) return true;
  const auto enough = static_cast<std::uint64_t>(workers_) * 2 + kLeastNodes;
  return plan_.open() < kMostSteps &&
         (plan_.waiting_bytes() < kMostBytes || plan_.waiting() < enough);
}

Job::Encoded ReduceSteps::encode(TaskSink& sink, std::uint32_t callable, TaskRange tasks) {
  Encoded encoded;
  for (; encoded.accepted < tasks.count; ++encoded.accepted) {
    const std::uint64_t task = tasks.first + encoded.accepted;
    if (!wants(task)) {
      plan_.drop(task);
      encoded.failed = true;
      encoded.kind = std::nullopt;
      break;
    }
    try {
      if (!put(sink, callable, task)) break;
    } catch (...) {
      fail(task, local_failure(element_of(task, kNoElement), kWhileEncoding));
      encoded.failed = true;
      break;
    }
  }
  return encoded;
}

bool ReduceSteps::put(TaskSink& sink, std::uint32_t callable, std::uint64_t task) {
  const ReducePlan::Step& step = *plan_.find(task);
  return sink.put_written(callable, task, [&](SpillWriter& out) {
    write(step, out);
    if (step.parts.empty())
      block_size_.observe_bytes(out.size() - sizeof(ReduceHead), step.elements.count);
  });
}

void ReduceSteps::encode_argument(std::uint64_t task, ByteWriter& out) const {
  write(*plan_.find(task), out);
}

void ReduceSteps::write(const ReducePlan::Step& step, ByteWriter& out) const {
  const Elements elements = step.only ? Elements{*step.only, 1} : step.elements;
  out.put(ReduceHead{elements.first, elements.count, step.parts.size(), step.last ? 1U : 0U});
  if (step.last) encode_init(out);
  for (const ReducePlan::Part& part : step.parts) {
    out.put(part.count);
    out.write(part.node.view().data(), part.node.view().size());
  }
  if (!step.parts.empty()) return;
  std::uint64_t at = elements.first;
  try {
    encode_elements(elements, at, out);
  } catch (...) {
    if (!step.only) stuck_ = at;
    throw;
  }
}

// ---------------------------------------------------------------------------------------------------
// Back

Settled ReduceSteps::decode(RingReader& answers, std::uint32_t callable, TaskRange tasks) {
  return take_whole(answers, callable, tasks, [this](std::uint64_t task, auto bytes) {
    return take(task, std::move(bytes));
  });
}

std::unique_ptr<LargeResult> ReduceSteps::receive(std::uint64_t task) {
  const auto take_it = [this, task](auto bytes) { return take(task, std::move(bytes)); };
  return std::make_unique<PiecedAnswer<decltype(take_it)>>(take_it);
}

Settled ReduceSteps::take(std::uint64_t task, std::vector<std::byte> bytes) {
  try {
    accept(task, std::move(bytes));
    return {1, 0, 0, false};
  } catch (...) {
    const Elements elements = plan_.find(task)->elements;
    fail(task, local_failure(elements.end() - 1, kWhileDecoding));
    return {1, 1, task, false};
  }
}

void ReduceSteps::accept(std::uint64_t task, std::vector<std::byte> bytes) {
  SpanReader in(bytes);
  const auto report = in.get<ReduceReport>();
  const ReducePlan::Step& step = *plan_.find(task);
  const Elements elements = step.elements;
  const bool is_block = step.parts.empty();
  if (step.last) decode_result(std::span(bytes).subspan(kReportBytes));
  if (is_block && report.done < elements.count) {
    plan_.finish(task, report.done, half_nodes(in));
  } else {
    std::vector<NodeBytes> whole;
    whole.push_back({std::move(bytes), kReportBytes});
    plan_.finish(task, report.done, std::move(whole));
  }
  if (!is_block) return;
  const Elements done{elements.first, report.done};
  block_size_.observe_time(std::chrono::nanoseconds(report.nanoseconds), done.count);
  done_ += done.count;
  forget(done);
}

void ReduceSteps::fail(std::uint64_t task, Failure failure) {
  const auto stuck = std::exchange(stuck_, std::nullopt);
  const ReducePlan::Step* step = plan_.find(task);
  if (step == nullptr) return;
  if (stuck && step->parts.empty()) plan_.cut(task, *stuck);
  ++failed_;
  if (step->parts.empty()) {
    const std::uint64_t element = failure.task();
    done_ += element - step->elements.first + 1;
  }
  if (!lowest_ || failure.task() < lowest_->task()) lowest_.emplace(std::move(failure));
  plan_.fail(task);
}

std::uint64_t ReduceSteps::element_of(std::uint64_t task, std::uint64_t claimed) const {
  const ReducePlan::Step* step = plan_.find(task);
  if (step == nullptr) return task;
  if (stuck_) return *stuck_;
  const Elements elements = step->elements;
  const bool is_one = claimed >= elements.first && claimed < elements.end();
  return is_one ? claimed : elements.first;
}

void ReduceSteps::narrow(std::uint64_t task, std::uint64_t element, bool again) {
  plan_.narrow(task, element, again);
}

Progress ReduceSteps::progress(const Progress& tasks) const {
  return {done_, failed_, has_ended() ? std::optional(drawn()) : size_, tasks.elapsed};
}

std::optional<Failure> ReduceSteps::failure_of(const RunReport& report) {
  if (source_error_) std::rethrow_exception(source_error_);
  if (report.given_up) {
    if (report.given_up->kind == FailureKind::not_run) throw BrokenPool(report.given_up->message);
    return given_up_failure(*report.given_up, 0);
  }
  return lowest_;
}

}  // namespace bulkhead::detail
