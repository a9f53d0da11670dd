// SPDX-License-Identifier: MIT
#include <bulkhead/detail/async_call.hpp>
#include <bulkhead/detail/completions.hpp>

#include <algorithm>
#include <chrono>
#include <unordered_set>
#include <utility>

namespace bulkhead::detail {
namespace {

Completions::Results distinct(Completions::Results results) {
  std::unordered_set<const AsyncStateBase*> seen;
  std::erase_if(results, [&](const auto& result) { return !seen.insert(result.get()).second; });
  return results;
}

bool have_one_engine(const Completions::Results& results) {
  std::unordered_set<const void*> engines;
  for (const auto& result : results) {
    if (!result->ready()) engines.insert(result->call().engine());
  }
  return engines.size() <= 1;
}

/// Of each of several engines.
constexpr std::chrono::milliseconds kTurn{2};

}  // namespace

Completions::Completions(Results results)
    : results_(distinct(std::move(results))), is_of_one_engine_(have_one_engine(results_)) {
  order_.reserve(results_.size());
  for (std::size_t i = 0; i < results_.size(); ++i) results_[i]->watch(*this, i);
}

Completions::~Completions() {
  for (const auto& result : results_) result->unwatch(*this);
}

void Completions::note(std::size_t index) {
  const std::lock_guard lock(mutex_);
  order_.push_back(index);
  noted_ = order_.size();
}

std::size_t Completions::operator[](std::size_t before) const {
  const std::lock_guard lock(mutex_);
  return order_.at(before);
}

/// Who waits for one engine drives it, and sleeps there. Those that are waited for beside others
/// take turns.
std::size_t Completions::wait(std::size_t count, std::optional<RunningCall::Time> until) {
  count = std::min(count, results_.size());
  wanted_ = count;
  do {
    const std::vector<RunningCall*> calls = one_of_each_engine();
    const auto turn_ends = RunningCall::Time::clock::now() + kTurn;
    const auto next = until ? std::min(*until, turn_ends) : turn_ends;
    for (RunningCall* call : calls) {
      if (ready()) break;
      call->wait_for(*this, calls.size() == 1 ? until : next);
    }
  } while (!ready() && (!until || RunningCall::Time::clock::now() < *until));
  return std::min(noted_.load(), count);
}

/// Calls that have not ended.
std::vector<RunningCall*> Completions::one_of_each_engine() {
  while (first_open_ < results_.size() && results_[first_open_]->ready()) ++first_open_;
  std::vector<RunningCall*> calls;
  std::unordered_set<const void*> engines;
  for (std::size_t i = first_open_; i < results_.size(); ++i) {
    RunningCall& call = results_[i]->call();
    if (!results_[i]->ready() && engines.insert(call.engine()).second) calls.push_back(&call);
    if (is_of_one_engine_ && !calls.empty()) break;
  }
  return calls;
}

}  // namespace bulkhead::detail
