// SPDX-License-Identifier: MIT
//
// Trace: what a pool's workers do, in the format of Chrome and Perfetto, as an array of events. A
// worker is a thread there. Each write to the file leaves whole events, so that of a program that is
// killed only the closing bracket is missing, which those readers do not ask for.
//
// Under the engine's lock; memory is bounded by a buffer.
#pragma once

#include "runtime/log.hpp"
#include "runtime/tally.hpp"
#include "worker/link.hpp"
#include "worker/text_file.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace bulkhead::detail {

class Trace {
 public:
  using Time = std::chrono::steady_clock::time_point;

  /// Makes the file, or empties it. Throws SystemError.
  Trace(const std::string& path, Log log);
  Trace(const Trace&) = delete;
  Trace& operator=(const Trace&) = delete;
  ~Trace();

  void begin_call(const CallName& call);
  void end_call(const CallName& call);
  void fork_worker(std::uint32_t worker);
  /// It was forked, and has run the initializer.
  void start_worker(std::uint32_t worker, int pid, Time from, Time to);
  void end_worker(std::uint32_t worker, int pid, std::string_view cause);

  struct Attempt {
    std::uint32_t worker = 0;
    const CallName& call;
    std::uint64_t task = 0;
    int attempt = 1;
    const char* outcome;
  };
  /// One that has ended. `times` is what its worker says, and believed as far as it can be true;
  /// without it, it is taken to have run since the one before.
  void task(const Attempt& attempt, const std::optional<Link::TaskTimes>& times);

 private:
  void name_thread(std::uint32_t thread, std::string_view name);
  void require_row(std::uint32_t worker);
  void call(char phase, const CallName& call);
  void add(std::string_view event);
  void write();
  [[nodiscard]] double microseconds(Time time) const;

  const Log log_;
  const int pid_;
  const Time begin_ = std::chrono::steady_clock::now();
  std::optional<TextFile> file_;  ///< nothing: it could not be written any more
  std::string buffer_;
  bool any_ = false;              ///< an event has been added
  std::vector<Time> rows_;        ///< of each worker: up to when its row is taken
  Time written_ = begin_;
};

/// `text` between quotes, as JSON wants it; what is no UTF-8 as question marks.
[[nodiscard]] std::string json_string(std::string_view text);
/// What the call is called where a person reads it.
[[nodiscard]] std::string to_text(const CallName& call);

}  // namespace bulkhead::detail
