// SPDX-License-Identifier: MIT
//
// Sums that do not depend on luck: partial results are combined in the workers, in an order that
// depends on the number of elements only, so the bits are the same with any number of workers. And
// the reduction of other things than numbers, of which the order matters.
#include <bulkhead/pool.hpp>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <vector>

/// Terms of a series whose sum depends on the order in which they are added.
double term(int k) {
  return (k % 2 == 0 ? 1.0 : -1.0) / (2 * k + 1) * std::pow(10, k % 7);
}

/// The longer of two words; of two that are equally long, the first one.
std::string longer(const std::string& a, const std::string& b) {
  return b.size() > a.size() ? b : a;
}

/// A function with a bug.
int checked(int x) {
  if (x == 70'000) std::abort();
  return x;
}

int main() {
  std::vector<int> ks(100'000);
  for (std::size_t k = 0; k < ks.size(); ++k) ks[k] = static_cast<int>(k);
  double first = 0;
  bool all_the_same = true;
  for (const int workers : {1, 2, 3}) {
    bulkhead::Pool pool(workers);
    const double sum = pool.map_reduce(ks, term, std::plus<>{}, 0.0);
    if (workers == 1) first = sum;
    all_the_same = all_the_same && sum == first;
  }
  std::printf("with 1, 2 and 3 workers: %s\n", all_the_same ? "the same bits" : "not the same");

  bulkhead::Pool pool(2);
  const std::vector<std::string> words{"a",   "ship's", "bulkhead", "keeps",
                                       "the", "breach", "small"};
  std::printf("longest word: %s\n", pool.reduce(words, longer, "").c_str());

  const auto sum = pool.try_map_reduce(ks, checked, std::plus<>{}, 0LL);
  if (!sum) std::printf("element %d crashed\n", static_cast<int>(sum.failure().task()));
}

// Prints:
// with 1, 2 and 3 workers: the same bits
// longest word: bulkhead
// element 70000 crashed
