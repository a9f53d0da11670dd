// SPDX-License-Identifier: MIT
//
// Transcript: what one worker says beside its answers, its tasks' output and its log messages.
// One thread at a time.
#pragma once

#include "runtime/log.hpp"
#include "worker/link.hpp"
#include "worker/output.hpp"
#include <bulkhead/task_output.hpp>

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace bulkhead::detail {

class Transcript {
 public:
  /// `link` and `peek` live longer; without streams there need be no `peek`. `worker` is its place
  /// in the pool.
  Transcript(Link& link, PeekPipe* peek, Log log, std::uint32_t worker);
  Transcript(const Transcript&) = delete;
  Transcript& operator=(const Transcript&) = delete;

  /// The index in its call of a task, by the worker's count from 1; nothing for one that has been
  /// answered.
  using Index = std::function<std::optional<std::uint64_t>(std::uint64_t number)>;
  /// Takes in what there is. False if there may be more.
  bool read(const Index& index);
  /// Tasks up to that number have been answered: their unfinished lines are printed.
  void note_answered(std::uint64_t number);

  /// The worker has ended: prints what stands in unfinished lines.
  void finish();

  /// Read so far.
  [[nodiscard]] std::uint64_t bytes() const { return bytes_; }
  [[nodiscard]] bool captures() const { return !captured_.empty(); }
  /// What that task has written; null if nothing was captured.
  std::shared_ptr<const TaskOutput> take(std::uint64_t number);

 private:
  /// What is to be printed of one stream.
  struct Lines {
    std::uint64_t task = 0;  ///< that wrote the unfinished line
    std::string label;
    std::string unfinished;
    std::string whole;
  };

  void take_text(std::size_t stream, std::uint64_t number, std::string_view text,
                 const Index& index);
  void capture(std::size_t stream, std::uint64_t number, std::string_view text);
  void add_to_lines(Lines& lines, std::uint64_t number, std::string_view text, const Index& index);
  void note_gone(const TaskOutput& output);
  static void finish_line(Lines& lines);
  void print_lines();
  [[nodiscard]] std::string origin(std::uint64_t number, const Index& index);

  Link& link_;
  PeekPipe* peek_;
  const Log log_;
  const std::uint32_t worker_;
  std::array<Lines, 2> lines_;
  std::map<std::uint64_t, TaskOutput> captured_;  ///< by the task's number
  std::size_t held_ = 0;                          ///< bytes of those
  std::uint64_t bytes_ = 0;
  bool has_dropped_ = false;  ///< of which the logger has been told
  std::uint64_t named_ = 0;   ///< the task of which origin() was asked last
  std::string name_;          ///< and what it said
};

}  // namespace bulkhead::detail
