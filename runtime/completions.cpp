// SPDX-License-Identifier: MIT
#include <bulkhead/detail/async_call.hpp>
#include <bulkhead/detail/completions.hpp>

#include <algorithm>
#include <unordered_set>
#include <utility>

namespace bulkhead::detail {
namespace {

Completions::Results distinct(Completions::Results results) {
  std::unordered_set<const AsyncStateBase*> seen;
  std::erase_if(results, [&](const auto& result) { return !seen.insert(result.get()).second; });
  return results;
}

/// Null if there are none, or several.
const void* engine_of(const Completions::Results& results) {
  const void* engine = nullptr;
  for (const auto& result : results) {
    if (result->ready()) continue;
    const void* its = result->call().engine();
    if (engine != nullptr && its != engine) return nullptr;
    engine = its;
  }
  return engine;
}

}  // namespace

Completions::Completions(Results results)
    : results_(distinct(std::move(results))), engine_(engine_of(results_)) {
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
  changed_.notify_all();
}

std::size_t Completions::operator[](std::size_t before) const {
  const std::lock_guard lock(mutex_);
  return order_.at(before);
}

/// Who waits for one engine drives it; several are left to those who look after them.
std::size_t Completions::wait(std::size_t count, std::optional<RunningCall::Time> until) {
  count = std::min(count, results_.size());
  wanted_ = count;
  if (RunningCall* call = ready() ? nullptr : only_engine()) {
    call->wait_for(*this, until);
  } else {
    std::unique_lock lock(mutex_);
    const auto reached = [this] { return ready(); };
    if (until) {
      changed_.wait_until(lock, *until, reached);
    } else {
      changed_.wait(lock, reached);
    }
  }
  return std::min(noted_.load(), count);
}

/// Any call of it that has not ended; null if there are several, or it has gone.
RunningCall* Completions::only_engine() {
  if (engine_ == nullptr) return nullptr;
  while (first_open_ < results_.size() && results_[first_open_]->ready()) ++first_open_;
  return first_open_ < results_.size() ? &results_[first_open_]->call() : nullptr;
}

}  // namespace bulkhead::detail
