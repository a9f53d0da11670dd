// SPDX-License-Identifier: MIT
#include "tests/chaos/tormentor.hpp"

#include "tests/chaos/ledger.hpp"

#include <chrono>
#include <csignal>
#include <iterator>
#include <set>

namespace bulkhead::chaos {
namespace {

using namespace std::chrono_literals;

/// For what is counted in attempts, if none begins.
constexpr auto kPatience = 20ms;

std::uint32_t draw(Random& random, std::uint32_t most) {
  return 1 + static_cast<std::uint32_t>(random() % most);
}

}  // namespace

Tormentor::Tormentor(pid_t zygote, std::uint64_t seed)
    : zygote_(zygote),
      random_(seed),
      thread_([this](const std::stop_token& told_to_end) { torment(told_to_end); }) {}

void Tormentor::end() {
  thread_.request_stop();
  thread_.join();
}

void Tormentor::torment(const std::stop_token& told_to_end) {
  while (!told_to_end.stop_requested() && !zygote_.ends_within(0ms)) {
    (void)begun().reaches(begun().value() + draw(random_, 150), kPatience);
    const auto lot = random_() % 100;
    if (lot < 5) {
      stop_for_a_while(zygote_);
    } else if (const auto worker = some_worker()) {
      lot < 65 ? kill(*worker) : stop_for_a_while(*worker);
    }
  }
}

/// One that has a place in the pool. Those that are only starting are left alone: some deaths of
/// these in a row are taken for a fault of the initializer, and rightly.
std::optional<test::Process> Tormentor::some_worker() {
  const std::set<int> workers = test::placed_workers_under(zygote_.pid());
  if (workers.empty()) return std::nullopt;
  const auto which = static_cast<std::ptrdiff_t>(random_() % workers.size());
  return test::child_of(zygote_.pid(), *std::next(workers.begin(), which));
}

void Tormentor::kill(const test::Process& process) {
  process.send(SIGKILL);
  ++kills_;
}

void Tormentor::stop_for_a_while(const test::Process& process) {
  process.send(SIGSTOP);
  ++stops_;
  (void)begun().reaches(begun().value() + draw(random_, 100), kPatience);
  process.send(SIGCONT);
}

}  // namespace bulkhead::chaos
