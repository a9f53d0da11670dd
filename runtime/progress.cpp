// SPDX-License-Identifier: MIT
#include <bulkhead/options.hpp>

#include <algorithm>

namespace bulkhead {

namespace {

std::optional<std::chrono::nanoseconds> time_left(std::uint64_t so_far, std::uint64_t all,
                                                  std::chrono::nanoseconds taken) {
  if (so_far == 0) return std::nullopt;
  const auto left = static_cast<double>(all - std::min(so_far, all));
  const double each = static_cast<double>(taken.count()) / static_cast<double>(so_far);
  return std::chrono::nanoseconds(static_cast<std::chrono::nanoseconds::rep>(left * each));
}

}  // namespace

std::optional<std::chrono::nanoseconds> Progress::remaining() const {
  if (reducing.count() != 0) return time_left(reduced, partitions, reducing);
  if (total_bytes) return time_left(bytes, *total_bytes, elapsed);
  return total ? time_left(done, *total, elapsed) : std::nullopt;
}

}  // namespace bulkhead
