// SPDX-License-Identifier: MIT
#include "runtime/transcript.hpp"

#include <unistd.h>
#include <utility>

namespace bulkhead::detail {
namespace {

/// A line that is longer is broken.
constexpr std::size_t kLongestLine = std::size_t{64} << 10;
/// Tasks that have been answered are rid of what they wrote, so that of an honest worker it is
/// never more than a few pipes can hold.
constexpr std::size_t kMostHeld = std::size_t{32} << 20;
constexpr std::array kStreams{STDOUT_FILENO, STDERR_FILENO};

void keep_end(std::string& text) {
  if (text.size() > TaskOutput::kCaptured) text.erase(0, text.size() - TaskOutput::kCaptured);
}

}  // namespace

Transcript::Transcript(Link& link, PeekPipe* peek, Log log, std::uint32_t worker)
    : link_(link), peek_(peek), log_(std::move(log)), worker_(worker) {}

void Transcript::finish() {
  for (Lines& lines : lines_) finish_line(lines);
  print_lines();
}

bool Transcript::read(const Index& index) {
  const auto running = [this] { return link_.tasks_begun(); };
  bool all = true;
  Voice& voice = link_.voice();
  for (std::size_t stream = 0; voice.streams && stream < kStreams.size(); ++stream) {
    const auto take = [&](std::uint64_t number, std::string_view text) {
      take_text(stream, number, text, index);
    };
    all &= (*voice.streams)[stream].read(*peek_, voice.plan.secret, running, take);
  }
  print_lines();
  if (!voice.log) return all;
  const auto log = [&](std::uint32_t level, std::uint64_t number, std::string_view text) {
    log_.pass_on(level, origin(number, index), text);
  };
  return voice.log->read(log) && all;
}

void Transcript::take_text(std::size_t stream, std::uint64_t number, std::string_view text,
                           const Index& index) {
  bytes_ += text.size();
  if (number > link_.tasks_begun()) number = 0;  // no task writes before it begins
  if (link_.voice().plan.mode == Output::capture) {
    if (index(number)) capture(stream, number, text);
  } else {
    add_to_lines(lines_[stream], number, text, index);
  }
}

void Transcript::capture(std::size_t stream, std::uint64_t number, std::string_view text) {
  TaskOutput& output = captured_[number];
  std::string& captured = stream == 0 ? output.out : output.err;
  const std::size_t before = captured.size();
  if (held_ < kMostHeld) captured += text;
  // Not each time: the rest is moved.
  if (captured.size() > 2 * TaskOutput::kCaptured) keep_end(captured);
  held_ += captured.size() - before;
}

void Transcript::note_gone(const TaskOutput& output) {
  held_ -= output.out.size() + output.err.size();
}

std::shared_ptr<const TaskOutput> Transcript::take(std::uint64_t number) {
  const auto found = captured_.find(number);
  if (found == captured_.end()) return nullptr;
  for (auto at = captured_.begin(); at != found; at = captured_.erase(at)) note_gone(at->second);
  note_gone(found->second);
  TaskOutput output = std::move(found->second);
  captured_.erase(found);
  for (std::string* text : {&output.out, &output.err}) {
    keep_end(*text);
    text->shrink_to_fit();
  }
  return std::make_shared<const TaskOutput>(std::move(output));
}

void Transcript::add_to_lines(Lines& lines, std::uint64_t number, std::string_view text,
                              const Index& index) {
  if (lines.task != number) finish_line(lines);
  lines.task = number;
  lines.label.assign(1, '[');
  lines.label.append(origin(number, index)).append("] ");
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    lines.unfinished += text.substr(0, end);
    if (end != std::string_view::npos) {
      lines.whole += lines.label + std::exchange(lines.unfinished, {}) + "\n";
    } else if (lines.unfinished.size() > kLongestLine) {
      finish_line(lines);
    }
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
}

void Transcript::finish_line(Lines& lines) {
  if (lines.unfinished.empty()) return;
  lines.whole += lines.label + std::exchange(lines.unfinished, {}) + "\n";
}

void Transcript::note_answered(std::uint64_t number) {
  for (Lines& lines : lines_) {
    if (lines.task <= number) finish_line(lines);
  }
  print_lines();
}

void Transcript::print_lines() {
  for (std::size_t stream = 0; stream < kStreams.size(); ++stream) {
    const std::string text = std::exchange(lines_[stream].whole, {});
    if (text.empty() || print(kStreams[stream], text) || std::exchange(has_dropped_, true))
      continue;
    log_.warn("output of tasks is dropped: nobody takes what is written to standard " +
              std::string(stream == 0 ? "output" : "error"));
  }
}

/// What is said after a task has been answered is its own still, as long as no other one says
/// anything.
std::string Transcript::origin(std::uint64_t number, const Index& index) {
  const std::optional<std::uint64_t> task = number == 0 ? std::nullopt : index(number);
  if (task) {
    named_ = number;
    name_ = "worker " + std::to_string(worker_) + ", task " + std::to_string(*task);
  }
  return named_ == number && number != 0 ? name_ : "worker " + std::to_string(worker_);
}

}  // namespace bulkhead::detail
