// SPDX-License-Identifier: MIT
//
// One call of map or the like while it lasts: its job, and how far it has come.
#pragma once

#include "runtime/active_job.hpp"

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <utility>

namespace bulkhead::detail {

inline constexpr std::chrono::milliseconds kProgressInterval{100};

struct ActiveCall {
  using Clock = std::chrono::steady_clock;

  ActiveJob active;
  const CallOptions& options;
  std::unique_ptr<FailureDetails> given_up = nullptr;
  /// Why the tasks that have not ended will not be run: the call was abandoned.
  std::unique_ptr<FailureDetails> ending = nullptr;
  Clock::time_point began = Clock::now();
  Clock::time_point last_report = began;

  void give_up(FailureKind kind, std::string why) {
    given_up = std::make_unique<FailureDetails>();
    given_up->kind = kind;
    given_up->message = std::move(why);
  }
  /// True if a stop was requested since it was asked last: its tasks are to end.
  bool heed_stop() {
    if (ending || done() || !options.stop.stop_requested()) return false;
    cancel("a stop was requested");
    return true;
  }
  void cancel(std::string why) {
    FailureDetails details;
    details.kind = FailureKind::cancelled;
    details.message = std::move(why);
    end(std::move(details));
  }
  void end(FailureDetails why) {
    ending = std::make_unique<FailureDetails>(std::move(why));
    active.abandon(ending->message);
  }
  /// True if every task that there is has ended.
  [[nodiscard]] bool complete() const { return active.ledger.total() == active.ledger.settled(); }
  [[nodiscard]] bool done() const { return given_up != nullptr || active.ledger.done(); }

  /// What is to be told of its progress, if it is time for that, or it is the last time.
  [[nodiscard]] std::optional<Progress> progress(Clock::time_point now, bool last) {
    if (!options.progress || (!last && now - last_report < kProgressInterval)) return std::nullopt;
    last_report = now;
    const Ledger& ledger = active.ledger;
    return active.job.progress({ledger.settled(), ledger.failed(), ledger.total(), now - began});
  }
  /// At the end.
  [[nodiscard]] RunReport report() {
    if (!given_up && !complete()) given_up = std::move(ending);
    if (given_up) {
      active.give_up_retries(*given_up);
      active.note_failures(given_up->kind, active.ledger.known() - active.ledger.settled());
    }
    return {std::move(given_up), active.ledger.known()};
  }
};

}  // namespace bulkhead::detail
