// SPDX-License-Identifier: MIT
//
// Section 3 of the demo; see poison.hpp.

#include "poison.hpp"

#include "progress_line.hpp"
#include "stopwatch.hpp"

#include <algorithm>
#include <csignal>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

namespace demo {

// The accidents have external names and stay out of line so that backtraces can name them.

[[gnu::noinline]] double read_first(const double* values) {
  return values[0];
}

[[gnu::noinline]] void give_up() {
  std::abort();
}

namespace {

using Outcomes = std::vector<bulkhead::Outcome<Score>>;

constexpr std::size_t kFramesShown = 8;

std::string signal_name(int signal) {
  const char* abbreviation = sigabbrev_np(signal);
  return abbreviation == nullptr ? std::to_string(signal) : std::string("SIG") + abbreviation;
}

bool fails_as_planted(const bulkhead::Failure& failure, Poison poison) {
  using bulkhead::FailureKind;
  switch (poison) {
    case Poison::none:
      return false;
    case Poison::null_pointer:
      return failure.kind() == FailureKind::crashed && failure.signal() == SIGSEGV;
    case Poison::abort:
      return failure.kind() == FailureKind::crashed && failure.signal() == SIGABRT;
    case Poison::bad_ridge:
      return failure.kind() == FailureKind::exception &&
             failure.message().find("ridge") != std::string::npos;
  }
  return false;
}

void print_failure(const bulkhead::Failure& failure) {
  const auto task = static_cast<unsigned long long>(failure.task());
  if (failure.signal() == 0) {
    std::printf("   task %llu threw %s: %s\n", task, failure.type_name().c_str(),
                failure.message().c_str());
    return;
  }
  std::printf("   task %llu crashed by %s (%s)\n", task, signal_name(failure.signal()).c_str(),
              sigdescr_np(failure.signal()));
  std::printf("      %s\n", failure.what().c_str());
  const std::vector<std::string>& frames = failure.backtrace();
  const std::size_t shown = std::min(frames.size(), kFramesShown);
  for (std::size_t i = 0; i < shown; ++i) std::printf("      %s\n", frames[i].c_str());
  if (shown < frames.size()) std::printf("      (%zu more)\n", frames.size() - shown);
}

Outcomes evaluate_all(bulkhead::Pool& pool, const std::vector<Trial>& trials) {
  ProgressLine line;
  const bulkhead::CallOptions options{
      .progress = [&line](const bulkhead::Progress& progress) { line.show(progress); }};
  return pool.try_map(evaluate_trial, trials, options);
}

/// What became of the trials, compared with what must become of them.
struct Tally {
  std::size_t equal = 0;      // scores that are those of the clean search
  std::size_t different = 0;  // scores that are not, or should not be there at all
  std::size_t planted = 0;    // failures as planted
  std::size_t other = 0;      // failures of any other kind
};

Tally tally(const std::vector<Trial>& trials, const Outcomes& outcomes,
            const std::vector<Score>& expected) {
  Tally tally;
  std::size_t clean = 0;  // trials without poison so far: the index in the clean search
  for (std::size_t i = 0; i < trials.size(); ++i) {
    const bool poisoned = trials[i].poison != Poison::none;
    if (!outcomes[i]) {
      const bulkhead::Failure& failure = outcomes[i].failure();
      const bool right = failure.task() == i && fails_as_planted(failure, trials[i].poison);
      (right ? tally.planted : tally.other) += 1;
    } else {
      const bool right = !poisoned && outcomes[i].value() == expected[clean];
      (right ? tally.equal : tally.different) += 1;
    }
    clean += poisoned ? 0 : 1;
  }
  return tally;
}

}  // namespace

std::vector<Trial> plant_poison(const std::vector<Setting>& settings) {
  std::vector<Trial> trials;
  const std::size_t quarter = settings.size() / 4;
  for (std::size_t i = 0; i < settings.size(); ++i) {
    if (i == quarter) trials.push_back({settings[i], Poison::null_pointer});
    if (i == 2 * quarter) trials.push_back({settings[i], Poison::abort});
    if (i == 3 * quarter) {
      trials.push_back({settings[i], Poison::bad_ridge});
      trials.back().setting.ridge = -1.0;
    }
    trials.push_back({settings[i], Poison::none});
  }
  return trials;
}

Score evaluate_trial(const Trial& trial) {
  if (trial.poison == Poison::null_pointer) {
    const double* volatile no_scores = nullptr;
    return {read_first(no_scores), 0.0};
  }
  if (trial.poison == Poison::abort) give_up();
  return evaluate(trial.setting);  // throws by itself when the ridge is negative
}

bool run_poisoned_search(bulkhead::Pool& pool, const std::vector<Setting>& settings,
                         const std::vector<Score>& expected) {
  const std::vector<Trial> trials = plant_poison(settings);
  std::printf("3. The same search with 3 bad settings among %zu\n\n", trials.size());
  const Stopwatch time;
  const Outcomes outcomes = evaluate_all(pool, trials);
  std::printf("   searched in %.2f s by %d workers\n\n", time.seconds(), pool.workers());

  for (const auto& outcome : outcomes) {
    if (!outcome) print_failure(outcome.failure());
  }
  if (outcomes.size() != trials.size()) return false;
  const Tally result = tally(trials, outcomes, expected);
  std::printf("\n   scores equal to those of section 2: %zu of %zu\n", result.equal,
              expected.size());
  std::printf("   failures as planted: %zu of %zu, other failures: %zu\n\n", result.planted,
              trials.size() - settings.size(), result.other);
  return result.equal == expected.size() && result.different == 0 && result.other == 0;
}

}  // namespace demo
