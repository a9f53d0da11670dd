// SPDX-License-Identifier: MIT
//
// Section 1 of the demo; see cpu_loop.hpp.

#include "cpu_loop.hpp"

#include "stopwatch.hpp"

#include <cstddef>
#include <cstdio>
#include <vector>

namespace demo {
namespace {

constexpr std::size_t kItems = 8;

std::vector<std::uint64_t> make_items(std::uint64_t steps) {
  std::vector<std::uint64_t> items(kItems);
  for (std::size_t i = 0; i < kItems; ++i) items[i] = steps + i;
  return items;
}

std::size_t count_equal(const std::vector<std::uint64_t>& a, const std::vector<std::uint64_t>& b) {
  if (a.size() != b.size()) return 0;
  std::size_t equal = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (a[i] == b[i]) ++equal;
  }
  return equal;
}

}  // namespace

std::uint64_t crunch(std::uint64_t steps) {
  std::uint64_t state = 0x9e3779b97f4a7c15u;
  for (std::uint64_t i = 0; i < steps; ++i) {  // xorshift64
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
  }
  return state;
}

bool run_cpu_loop(bulkhead::Pool& pool, std::uint64_t steps) {
  const std::vector<std::uint64_t> items = make_items(steps);
  std::printf("1. A CPU-bound loop over %zu items\n\n", items.size());

  const Stopwatch plain_time;
  std::vector<std::uint64_t> plain;
  plain.reserve(items.size());
  for (const std::uint64_t item : items) plain.push_back(crunch(item));
  const double plain_seconds = plain_time.seconds();
  std::printf("   plain loop    %7.2f s\n", plain_seconds);

  const Stopwatch pool_time;
  const std::vector<std::uint64_t> pooled = pool.map(crunch, items);
  const double pool_seconds = pool_time.seconds();
  std::printf("   pool.map      %7.2f s   (%d workers)\n", pool_seconds, pool.workers());
  std::printf("   speed-up      %7.2f x\n", plain_seconds / pool_seconds);

  const std::size_t equal = count_equal(plain, pooled);
  std::printf("   equal results %4zu of %zu\n\n", equal, items.size());
  return equal == items.size();
}

}  // namespace demo
