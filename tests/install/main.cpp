// SPDX-License-Identifier: MIT
//
// A program of a user's: built against bulkhead in each of the ways in which a project can get it.
#include <bulkhead/bulkhead.hpp>

#include <iostream>
#include <vector>

#ifndef SPDLOG_COMPILED_LIB
#error "loggers of this program are not those that bulkhead sees"
#endif

int main() {
  bulkhead::Pool pool(2);
  const std::vector<int> squares =
      pool.map([](int x) { return x * x; }, std::vector<int>{1, 2, 3, 4});
  for (const int square : squares) std::cout << square << ' ';
  std::cout << '\n';
  return squares == std::vector<int>{1, 4, 9, 16} ? 0 : 1;
}
