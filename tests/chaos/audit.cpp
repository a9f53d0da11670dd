// SPDX-License-Identifier: MIT
#include "tests/chaos/audit.hpp"

#include <algorithm>
#include <csignal>
#include <cstddef>
#include <map>
#include <optional>
#include <utility>

namespace bulkhead::chaos {
namespace {

/// What the ledger has of one task, by attempt; the first is at 1.
class Attempts {
 public:
  void add(const Record& record) {
    if (record.attempt >= notes_.size()) notes_.resize(record.attempt + std::size_t{1});
    Note& note = notes_[record.attempt];
    ++(record.event == Event::begun ? note.begun : note.ended);
    note.pid = record.pid;
  }
  [[nodiscard]] int last_begun() const { return static_cast<int>(notes_.size()) - 1; }
  [[nodiscard]] int begun(int attempt) const { return at(attempt).begun; }
  [[nodiscard]] int ended(int attempt) const { return at(attempt).ended; }
  [[nodiscard]] int pid(int attempt) const { return at(attempt).pid; }

 private:
  struct Note {
    int begun = 0;
    int ended = 0;
    int pid = 0;
  };
  [[nodiscard]] Note at(int attempt) const {
    const auto i = static_cast<std::size_t>(attempt);
    return i < notes_.size() ? notes_[i] : Note{};
  }
  std::vector<Note> notes_ = std::vector<Note>(1);
};

using Key = std::pair<std::uint64_t, std::uint32_t>;

/// True if the crash is the one that was planned.
bool is_planned(Deed deed, const Failure& failure) {
  switch (deed) {
    case Deed::segfault:
      return failure.signal() == SIGSEGV;
    case Deed::abort:
      return failure.signal() == SIGABRT;
    case Deed::kill_itself:
      return failure.signal() == SIGKILL;
    case Deed::exit_0:
      return failure.exit_code() == 0;
    case Deed::exit_3:
      return failure.exit_code() == 3;
    default:
      return false;
  }
}

int budget(const Retries& retries, FailureKind kind) {
  switch (kind) {
    case FailureKind::exception:
      return retries.exceptions;
    case FailureKind::crashed:
      return retries.crashes;
    case FailureKind::timed_out:
      return retries.timeouts;
    default:
      return 0;
  }
}

class Auditor {
 public:
  Auditor(const RoundReport& round, const std::vector<Record>& ledger, Totals& totals)
      : round_(round), totals_(totals) {
    for (const Record& record : ledger) enter(record);
  }

  std::vector<std::string> run() {
    for (const CallReport& call : round_.calls) check(call);
    if (unplanned_deaths_ > round_.kills) {
      complain(std::to_string(round_.kills) + " workers were killed, and " +
               std::to_string(unplanned_deaths_) + " attempts are said to have died of it");
    }
    for (const auto& [key, attempts] : books_) {
      complain("call " + std::to_string(key.first) + ", task " + std::to_string(key.second) +
               " ran, but nobody has asked for it");
    }
    sum_up();
    return std::move(complaints_);
  }

 private:
  void enter(const Record& record) {
    ++(record.event == Event::begun ? totals_.attempts : ends_);
    if (record.event == Event::begun && record.attempt > 1) ++totals_.retried;
    books_[{record.call, record.index}].add(record);
    const Task task{record.call, record.index, 0};
    if (record.signature != signature_of(task, record.attempt)) complain("a record is damaged");
  }

  void complain(std::string what) { complaints_.push_back(std::move(what)); }
  void require(bool holds, const std::string& what) {
    if (!holds) complain(about_ + what);
  }

  void check(const CallReport& call) {
    ++totals_.calls;
    if (!call.refusal.empty()) return check_refused(call);
    totals_.tasks += call.spec.tasks;
    if (!call.thrown && call.endings.size() != call.spec.tasks) {
      complain("call " + std::to_string(call.spec.number) + " has outcomes for " +
               std::to_string(call.endings.size()) + " of " + std::to_string(call.spec.tasks));
      return;
    }
    for (std::uint32_t index = 0; index < call.spec.tasks; ++index) {
      const Attempts attempts = take(call.spec, index);
      check_runs(call.spec, attempts);
      if (call.thrown) {
        check_before(*call.thrown, index, attempts);
      } else {
        check(call.spec, call.spec.task(index), call.endings[index], attempts);
      }
    }
  }

  Attempts take(const CallSpec& spec, std::uint32_t index) {
    const Retries& retries = spec.retries;
    about_ = "call " + std::to_string(spec.number) +
             " (retries of exceptions, crashes, time-outs: " + std::to_string(retries.exceptions) +
             ", " + std::to_string(retries.crashes) + ", " + std::to_string(retries.timeouts) +
             "), task " + std::to_string(index) + ": ";

    const auto node = books_.extract({spec.number, index});
    return node.empty() ? Attempts{} : node.mapped();
  }

  /// Nothing of a call that was refused may have run.
  void check_refused(const CallReport& call) {
    ++totals_.refused_calls;
    is_broken_ |= call.refusal.find("broken") != std::string::npos;
    for (std::uint32_t index = 0; index < call.spec.tasks; ++index) {
      const Attempts attempts = take(call.spec, index);
      require(attempts.last_begun() == 0, "ran, though its call was refused: " + call.refusal);
    }
  }

  /// Whatever has become of it: no attempt twice, and none that was not asked for.
  void check_runs(const CallSpec& spec, const Attempts& attempts) {
    const Retries& retries = spec.retries;
    const int most = 1 + retries.exceptions + retries.crashes + retries.timeouts;
    require(attempts.last_begun() <= most, "was tried more often than it may be");
    for (int attempt = 1; attempt <= attempts.last_begun(); ++attempt) {
      require(attempts.begun(attempt) <= 1 && attempts.ended(attempt) <= attempts.begun(attempt),
              "attempt " + std::to_string(attempt) + " was made twice");
    }
  }

  /// map() has thrown the failure of the lowest index, so those before it have ended well.
  void check_before(const Failure& thrown, std::uint32_t index, const Attempts& attempts) {
    const bool given_up = thrown.kind() == FailureKind::cancelled;
    if (given_up || index >= thrown.task()) return;
    require(attempts.ended(attempts.last_begun()) == 1,
            "did not end well, though the lowest failure is said to be: " + thrown.what());
  }

  void check(const CallSpec& spec, const Task& task, const Ending& ending,
             const Attempts& attempts) {
    if (!ending.failure) return check_value(spec, task, ending, attempts);
    const Failure& failure = *ending.failure;
    ++totals_.failures.at(static_cast<std::size_t>(failure.kind()));
    const std::string& what = failure.what();
    require(failure.task() == task.index, "has the failure of another: " + what);
    require(attempts.last_begun() <= failure.attempt(),
            "was tried " + std::to_string(attempts.last_begun()) + " times, but: " + what);
    check_history(spec, failure);
    for (const Failure& earlier : failure.earlier()) check_attempt(spec, task, earlier, attempts);
    check_attempt(spec, task, failure, attempts);
  }

  void check_value(const CallSpec& spec, const Task& task, const Ending& ending,
                   const Attempts& attempts) {
    ++totals_.values;
    const int attempt = ending.answer.attempt;
    require(ending.answer.signature == signature_of(task, attempt) && !ending.is_damaged,
            "the value is wrong");
    require(attempts.ended(attempt) == 1 && attempts.last_begun() == attempt,
            "the value is not that of its last attempt");
    require(attempts.pid(attempt) == ending.answer.pid, "another worker has run it");
    require(returns(deed_of(task, attempt)), "has a value though it never returned");
    for (int before = 1; before < attempt; ++before) {
      const bool may_fail = !returns(deed_of(task, before)) || spec.timeout;
      if (!may_fail) ++unplanned_deaths_;
    }
  }

  /// The earlier failures are those of attempts 1, 2, ... and within the budget.
  void check_history(const CallSpec& spec, const Failure& failure) {
    const std::vector<Failure>& earlier = failure.earlier();
    require(static_cast<int>(earlier.size()) == failure.attempt() - 1,
            "the history is not complete: " + failure.what());
    std::map<FailureKind, int> kinds;
    for (std::size_t i = 0; i < earlier.size(); ++i) {
      require(earlier[i].attempt() == static_cast<int>(i) + 1, "the history is out of order");
      require(++kinds[earlier[i].kind()] <= budget(spec.retries, earlier[i].kind()),
              "was tried again without leave: " + failure.what());
    }
    // Of a call that is ending nothing is tried again.
    if (spec.stop_after || round_.terminated) return;
    const int allowed = budget(spec.retries, failure.kind());
    require(allowed == 0 || kinds[failure.kind()] == allowed,
            "was not tried as often as asked for: " + failure.what());
  }

  void check_attempt(const CallSpec& spec, const Task& task, const Failure& failure,
                     const Attempts& attempts) {
    const int attempt = failure.attempt();
    const Deed deed = deed_of(task, attempt);
    const bool has_begun = attempts.begun(attempt) == 1;
    const std::string& what = failure.what();
    if (has_begun) {
      require(attempts.pid(attempt) == failure.worker_pid(),
              "process " + std::to_string(attempts.pid(attempt)) + " has run it: " + what);
    }
    switch (failure.kind()) {
      case FailureKind::exception:
        return require(
            has_begun && deed == Deed::throw_it &&
                what.find(std::to_string(signature_of(task, attempt))) != std::string::npos,
            "it did not throw that: " + what);
      case FailureKind::crashed:
        return check_crash(deed, failure, has_begun);
      case FailureKind::timed_out:
        return require(spec.timeout.has_value(), "it has no time limit: " + what);
      case FailureKind::cancelled:
        return require(spec.stop_after || round_.terminated, "nobody has cancelled it: " + what);
      case FailureKind::not_run:
        is_broken_ = true;
        return require(!has_begun, "it did run: " + what);
      default:
        return require(false, "that cannot happen: " + what);
    }
  }

  void check_crash(Deed deed, const Failure& failure, bool has_begun) {
    if (has_begun && is_planned(deed, failure)) return;
    if (failure.message().find("pool is broken") != std::string::npos) return;
    require(failure.signal() == SIGKILL, "it did not die of that: " + failure.what());
    ++unplanned_deaths_;
  }

  void sum_up() {
    ++totals_.pools;
    if (is_broken_) ++totals_.broken_pools;
    if (round_.terminated) ++totals_.terminated_pools;
    totals_.kills += round_.kills;
    totals_.stops += round_.stops;
    totals_.mismatches += complaints_.size();
  }

  const RoundReport& round_;
  Totals& totals_;
  std::map<Key, Attempts> books_;
  std::vector<std::string> complaints_;
  std::string about_;  ///< the task that is being checked
  std::uint64_t ends_ = 0;
  std::uint64_t unplanned_deaths_ = 0;
  bool is_broken_ = false;
};

}  // namespace

std::vector<std::string> audit(const RoundReport& round, const std::vector<Record>& ledger,
                               Totals& totals) {
  return Auditor(round, ledger, totals).run();
}

}  // namespace bulkhead::chaos
