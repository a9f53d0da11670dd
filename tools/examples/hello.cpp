// SPDX-License-Identifier: MIT
//
// The smallest use: a plain function over ten numbers, each call in a worker process.
// Results come back in the order of the input, whichever worker finished first.

#include <bulkhead/pool.hpp>

#include <cstdio>
#include <vector>

int square(int x) {
  return x * x;
}

int main() {
  bulkhead::Pool pool;  // one worker per usable CPU
  const std::vector<int> numbers{0, 1, 2, 3, 4, 5, 6, 7, 8, 9};
  for (const int result : pool.map(square, numbers)) std::printf("%d\n", result);
}

// Prints:
// 0
// 1
// 4
// 9
// 16
// 25
// 36
// 49
// 64
// 81
