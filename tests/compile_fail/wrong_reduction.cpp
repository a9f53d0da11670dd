// SPDX-License-Identifier: MIT
//
// Must say: the function that reduces must take two values of the type of the initial value
#include <bulkhead/pool.hpp>

#include <vector>

double sum(bulkhead::Pool& pool, const std::vector<double>& xs) {
  return pool.reduce(
      xs, [](double x) { return x; }, 0.0);
}
