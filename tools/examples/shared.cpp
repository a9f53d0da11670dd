// SPDX-License-Identifier: MIT
//
// Shared state: the best result so far, which all workers see, so that they need not look at what
// cannot beat it. And a counter.

#include <bulkhead/pool.hpp>
#include <bulkhead/shared.hpp>

#include <algorithm>
#include <cstdio>
#include <ranges>

struct Best {
  long start = 0;
  long peak = 0;
};

/// The highest number on the way from `start` to 1, where x is halved or becomes 3 x + 1.
void climb(const bulkhead::Shared<Best>& best, const bulkhead::Shared<long>& steps, long start) {
  long peak = start;
  long count = 0;
  for (long x = start; x >= start && x != 1; ++count) {  // below, it has been there before
    x = x % 2 == 0 ? x / 2 : 3 * x + 1;
    peak = std::max(peak, x);
  }
  steps.fetch_add(count);
  if (peak <= best.load().peak) return;
  best.update([&](Best& now) {  // whole, whoever crashes meanwhile
    if (peak > now.peak) now = {start, peak};
  });
}

int main() {
  const bulkhead::Shared<Best> best(Best{});
  const bulkhead::Shared<long> steps(0);
  bulkhead::Pool pool;
  pool.map(bulkhead::partial(climb, best, steps), std::views::iota(1L, 100'000L));
  std::printf("%ld climbs to %ld; %ld steps in all\n", best.load().start, best.load().peak,
              steps.load());
}

// Prints:
// 77671 climbs to 1570824736; 520910 steps in all
