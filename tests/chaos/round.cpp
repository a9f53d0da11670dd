// SPDX-License-Identifier: MIT
#include "tests/chaos/round.hpp"

#include "tests/chaos/ledger.hpp"
#include "tests/chaos/tormentor.hpp"
#include "tests/support/process.hpp"
#include <bulkhead/pool.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <iterator>
#include <list>
#include <thread>
#include <utility>

namespace bulkhead::chaos {
namespace {

using namespace std::chrono_literals;

enum class Finish : std::uint8_t {
  close_after_calls,
  close_during_calls,
  terminate_during_calls,
  destroy,
};

Options draw_options(Random& random) {
  constexpr std::array<std::size_t, 3> kRings{4096, 65'536, 1'048'576};
  Options options{.workers = static_cast<int>(1 + random() % 4),
                  .initializer = open_ledger,
                  .ring_bytes = kRings.at(random() % kRings.size())};
  if (random() % 2 == 0) options.max_tasks_per_worker = 1 + random() % 300;
  return options;
}

/// A thread that makes some calls, one after the other.
class Caller {
 public:
  Caller(Pool& pool, std::vector<CallSpec> specs)
      : thread_([this, &pool, calls = std::move(specs)] {
          for (const CallSpec& call : calls) reports_.push_back(run_call(pool, call));
        }) {}
  Caller(const Caller&) = delete;
  Caller& operator=(const Caller&) = delete;
  ~Caller() = default;

  void move_reports_to(std::vector<CallReport>& all) {
    thread_.join();
    std::ranges::move(reports_, std::back_inserter(all));
  }

 private:
  std::vector<CallReport> reports_;
  std::thread thread_;
};

std::vector<CallSpec> draw_calls(Random& random, std::uint64_t& next_call) {
  std::vector<CallSpec> calls(1 + random() % 4);
  for (CallSpec& call : calls) call = draw_call(random, next_call++);
  return calls;
}

/// Ends the pool in the given way, beside its calls.
void finish(Pool& pool, Finish how, Random& random) {
  if (how == Finish::close_during_calls || how == Finish::terminate_during_calls) {
    (void)begun().reaches(begun().value() + static_cast<std::uint32_t>(random() % 1000), 200ms);
  }
  if (how == Finish::terminate_during_calls) return pool.terminate();
  if (how == Finish::close_during_calls) pool.close();
}

}  // namespace

RoundReport run_round(Random& random, const std::filesystem::path& ledger,
                      std::uint64_t& next_call) {
  RoundReport report;
  const auto how = static_cast<Finish>(random() % 4);
  report.terminated = how == Finish::terminate_during_calls;
  set_ledger(ledger);
  Pool pool(draw_options(random));
  Tormentor tormentor(test::zygote_of(pool), random());
  {
    std::list<Caller> callers;
    for (auto left = 1 + random() % 3; left != 0; --left) {
      callers.emplace_back(pool, draw_calls(random, next_call));
    }
    finish(pool, how, random);
    for (Caller& caller : callers) caller.move_reports_to(report.calls);
  }
  if (how == Finish::close_after_calls) pool.close();
  if (how != Finish::destroy) pool.join();
  tormentor.end();
  report.kills = tormentor.kills();
  report.stops = tormentor.stops();
  return report;
}

}  // namespace bulkhead::chaos
