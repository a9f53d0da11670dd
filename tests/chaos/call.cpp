// SPDX-License-Identifier: MIT
#include "tests/chaos/call.hpp"

#include "tests/chaos/ledger.hpp"
#include <bulkhead/error.hpp>
#include <bulkhead/remote_error.hpp>

#include <stop_token>
#include <thread>
#include <utility>

namespace bulkhead::chaos {
namespace {

using namespace std::chrono_literals;

/// A stop comes at the latest after this time.
constexpr auto kLatestStop = 50ms;

bool one_in(Random& random, unsigned n) {
  return random() % n == 0;
}

/// Requests a stop once so many attempts have begun.
class Stopper {
 public:
  explicit Stopper(std::optional<std::uint32_t> after) {
    if (!after) return;
    thread_ = std::jthread([this, moment = begun().value() + *after] {
      (void)begun().reaches(moment, kLatestStop);
      source_.request_stop();
    });
  }
  [[nodiscard]] std::stop_token token() const { return source_.get_token(); }

 private:
  std::stop_source source_;
  std::jthread thread_;
};

Ending ending_of(const CallSpec&, std::uint32_t, const Answer& answer) {
  return {std::nullopt, answer, false};
}
Ending ending_of(const CallSpec& spec, std::uint32_t index, const LargeAnswer& answer) {
  const bool is_damaged = answer.second != result_text(spec.task(index), answer.first.attempt);
  return {std::nullopt, answer.first, is_damaged};
}
template <class R>
Ending ending_of(const CallSpec& spec, std::uint32_t index, const Outcome<R>& outcome) {
  if (!outcome) return {outcome.failure(), {}, false};
  return ending_of(spec, index, *outcome);
}

template <class Results>
void collect(CallReport& report, const Results& results) {
  std::uint32_t index = 0;
  for (const auto& result : results) {
    report.endings.push_back(ending_of(report.spec, index, result));
    ++index;
  }
}

template <class Function, class Argument>
void run(Pool& pool, CallReport& to, Function function, const std::vector<Argument>& arguments) {
  const Stopper stopper(to.spec.stop_after);
  const CallOptions options{
      .timeout = to.spec.timeout, .stop = stopper.token(), .retries = to.spec.retries};
  if (to.spec.all_or_none) {
    collect(to, pool.map(function, arguments, options));
  } else {
    collect(to, pool.try_map(function, arguments, options));
  }
}

}  // namespace

CallSpec draw_call(Random& random, std::uint64_t number) {
  CallSpec spec;
  spec.number = number;
  spec.large = one_in(random, 3);
  spec.tasks = static_cast<std::uint32_t>(1 + random() % (spec.large ? 100 : 500));
  spec.all_or_none = one_in(random, 6);
  if (one_in(random, 3)) spec.timeout = std::chrono::milliseconds{10 + random() % 40};
  if (one_in(random, 4)) spec.stop_after = static_cast<std::uint32_t>(random() % 400);
  if (one_in(random, 2)) {
    const auto budget = [&] { return static_cast<int>(random() % 4); };
    spec.retries = {.exceptions = budget(), .crashes = budget(), .timeouts = budget()};
    if (one_in(random, 2)) spec.retries.pause = std::chrono::microseconds{random() % 5000};
  }
  return spec;
}

CallReport run_call(Pool& pool, const CallSpec& spec) {
  CallReport report;
  report.spec = spec;
  std::vector<Task> tasks;
  std::vector<LargeTask> large_tasks;
  for (std::uint32_t index = 0; index < spec.tasks; ++index) {
    const Task task = spec.task(index);
    if (spec.large) {
      large_tasks.emplace_back(task, argument_text(task));
    } else {
      tasks.push_back(task);
    }
  }
  try {
    if (spec.large) {
      run(pool, report, answer_at_length, large_tasks);
    } else {
      run(pool, report, answer, tasks);
    }
  } catch (const RemoteError& error) {
    report.thrown = error.failure();
  } catch (const Error& error) {
    report.refusal = error.what();
  }
  return report;
}

}  // namespace bulkhead::chaos
