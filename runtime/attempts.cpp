// SPDX-License-Identifier: MIT
#include "runtime/attempts.hpp"

#include <algorithm>
#include <utility>

namespace bulkhead::detail {
namespace {

constexpr std::chrono::nanoseconds kLongestPause = std::chrono::minutes{1};

/// Before the attempt that follows after `failures` of them.
std::chrono::nanoseconds pause_after(std::size_t failures, std::chrono::nanoseconds first) {
  std::chrono::nanoseconds pause = first;
  for (std::size_t i = 1; i < failures && pause < kLongestPause; ++i) pause *= 2;
  return std::min(pause, std::max(first, kLongestPause));
}

}  // namespace

int Attempts::budget(FailureKind kind) const {
  switch (kind) {
    case FailureKind::exception:
      return retries_.exceptions;
    case FailureKind::crashed:
      return retries_.crashes;
    case FailureKind::timed_out:
      return retries_.timeouts;
    case FailureKind::out_of_memory:
      return retries_.out_of_memory;
    case FailureKind::cancelled:
    case FailureKind::not_run:
      break;
  }
  return 0;
}

bool Attempts::note_failure(std::uint64_t task, FailureDetails& details, Time now, bool wanted) {
  const int allowed = wanted && !last_.contains(task) ? budget(details.kind) : 0;
  const auto found = failures_.find(task);
  if (found == failures_.end() && allowed == 0) return false;
  std::vector<Failure>& failures = failures_[task];
  details.attempt = static_cast<int>(failures.size()) + 1;
  const auto alike = std::count_if(failures.begin(), failures.end(), [&](const Failure& failure) {
    return failure.kind() == details.kind;
  });
  if (alike >= allowed) {
    details.earlier = std::move(failures);
    failures_.erase(task);
    return false;
  }
  failures.emplace_back(details);
  waiting_.emplace(now + pause_after(failures.size(), retries_.pause), task);
  return true;
}

void Attempts::forget(TaskRange tasks) {
  if (failures_.empty() && last_.empty()) [[likely]]
    return;
  const std::uint64_t end = tasks.first + tasks.count;
  failures_.erase(failures_.lower_bound(tasks.first), failures_.lower_bound(end));
  last_.erase(last_.lower_bound(tasks.first), last_.lower_bound(end));
}

std::uint16_t Attempts::next(std::uint64_t task) const {
  const auto found = failures_.find(task);
  return static_cast<std::uint16_t>(found == failures_.end() ? 1 : found->second.size() + 1);
}

std::optional<std::uint64_t> Attempts::failed_from(std::uint64_t from) const {
  const auto found = failures_.lower_bound(from);
  return found == failures_.end() ? std::nullopt : std::optional(found->first);
}

bool Attempts::end(std::uint64_t task) {
  last_.insert(task);
  const auto found = std::find_if(waiting_.begin(), waiting_.end(),
                                  [task](const auto& entry) { return entry.second == task; });
  if (found == waiting_.end()) return false;
  waiting_.erase(found);
  return true;
}

std::optional<Attempts::Time> Attempts::due() const {
  return waiting_.empty() ? std::nullopt : std::optional(waiting_.begin()->first);
}

}  // namespace bulkhead::detail
