// SPDX-License-Identifier: MIT
//
// A lazy stream: the range is endless, and elements are drawn as the workers can do with them.
// Results come in order while others are still computed; leaving the loop cancels the rest.

#include <bulkhead/pool.hpp>

#include <cstdio>
#include <ranges>
#include <utility>

/// How long it takes from `start` to 1, halving what is even and mapping what is odd to 3 x + 1.
std::pair<long, int> collatz(long start) {
  int steps = 0;
  for (long x = start; x != 1; ++steps) x = x % 2 == 0 ? x / 2 : 3 * x + 1;
  return {start, steps};
}

int main() {
  bulkhead::Pool pool;
  int longest = -1;
  for (const auto& [start, steps] : pool.imap(collatz, std::views::iota(1L))) {
    if (steps <= longest) continue;
    longest = steps;
    std::printf("%ld takes %d steps\n", start, steps);
    if (steps > 200) break;
  }
}

// Prints:
// 1 takes 0 steps
// 2 takes 1 steps
// 3 takes 7 steps
// 6 takes 8 steps
// 7 takes 16 steps
// 9 takes 19 steps
// 18 takes 20 steps
// 25 takes 23 steps
// 27 takes 111 steps
// 54 takes 112 steps
// 73 takes 115 steps
// 97 takes 118 steps
// 129 takes 121 steps
// 171 takes 124 steps
// 231 takes 127 steps
// 313 takes 130 steps
// 327 takes 143 steps
// 649 takes 144 steps
// 703 takes 170 steps
// 871 takes 178 steps
// 1161 takes 181 steps
// 2223 takes 182 steps
// 2463 takes 208 steps
