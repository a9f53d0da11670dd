// SPDX-License-Identifier: MIT
#include "runtime/ledger.hpp"

#include <algorithm>
#include <iterator>

namespace bulkhead::detail {

void Ledger::extend(std::uint64_t known, bool complete) {
  known_ = known;
  complete_ = complete;
}

TaskRange Ledger::take(std::uint64_t most, std::uint64_t horizon) {
  TaskRange range;
  const auto below_horizon = [&](std::uint64_t first, std::uint64_t count) {
    return std::min({most, count, horizon > first ? horizon - first : 0});
  };
  if (!returned_.empty()) {
    const auto lowest = returned_.begin();
    range = {lowest->first, below_horizon(lowest->first, lowest->second)};
    if (range.count == 0) return range;
    const TaskRange rest{range.first + range.count, lowest->second - range.count};
    returned_.erase(lowest);
    if (rest.count != 0) returned_.emplace(rest.first, rest.count);
    returned_count_ -= range.count;
  } else {
    const std::uint64_t end = std::min(known_, limit_);
    range = {fresh_, below_horizon(fresh_, end > fresh_ ? end - fresh_ : 0)};
    fresh_ += range.count;
  }
  out_ += range.count;
  return range;
}

void Ledger::give_back(TaskRange range) {
  out_ -= range.count;
  if (range.first >= limit_) return;
  range.count = std::min(range.count, limit_ - range.first);
  if (range.count == 0) return;
  if (range.first + range.count == fresh_) {
    fresh_ = range.first;
  } else {
    returned_.emplace(range.first, range.count);
    returned_count_ += range.count;
  }
}

void Ledger::settle(const Settled& settled) {
  out_ -= settled.count;
  settled_ += settled.count;
  failed_ += settled.failed;
}

void Ledger::stop_at(std::uint64_t limit) {
  limit_ = std::min(limit_, limit);
  while (!returned_.empty()) {
    const auto last = std::prev(returned_.end());
    if (last->first + last->second <= limit_) break;
    const TaskRange kept{last->first, limit_ > last->first ? limit_ - last->first : 0};
    returned_count_ -= last->second - kept.count;
    returned_.erase(last);
    if (kept.count != 0) returned_.emplace(kept.first, kept.count);
  }
}

bool Ledger::has_work() const {
  return returned_count_ != 0 || fresh_ < std::min(known_, limit_);
}

bool Ledger::done() const {
  return out_ == 0 && !has_work() && (complete_ || known_ >= limit_);
}

std::optional<std::uint64_t> Ledger::total() const {
  return complete_ ? std::optional(known_) : std::nullopt;
}

std::uint64_t Ledger::unsent() const {
  const std::uint64_t end = std::min(known_, limit_);
  return returned_count_ + (end > fresh_ ? end - fresh_ : 0);
}

}  // namespace bulkhead::detail
