// SPDX-License-Identifier: MIT
#include <bulkhead/options.hpp>

#include <algorithm>

namespace bulkhead {

std::optional<std::chrono::nanoseconds> Progress::remaining() const {
  const std::uint64_t so_far = total_bytes ? bytes : done;
  const std::optional<std::uint64_t> all = total_bytes ? total_bytes : total;
  if (!all || so_far == 0) return std::nullopt;
  const auto left = static_cast<double>(*all - std::min(so_far, *all));
  const double each = static_cast<double>(elapsed.count()) / static_cast<double>(so_far);
  return std::chrono::nanoseconds(static_cast<std::chrono::nanoseconds::rep>(left * each));
}

}  // namespace bulkhead
