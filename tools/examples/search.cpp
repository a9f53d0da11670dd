// SPDX-License-Identifier: MIT
//
// Hyper-parameter search: every combination is a call that is made up first and run later, in any
// process, at any time; a combination that blows up costs itself.

#include <bulkhead/pool.hpp>
#include <bulkhead/this_task.hpp>

#include <cmath>
#include <cstdio>
#include <random>
#include <stdexcept>
#include <vector>

/// Final loss of a noisy descent to the minimum of x^4 - x^2: -0.25.
double train(double rate, double momentum) {
  std::mt19937_64 random(bulkhead::this_task::seed());
  std::uniform_real_distribution<double> noise(-0.01, 0.01);
  double x = 2;
  double step = 0;
  for (int i = 0; i < 2000; ++i) {
    step = momentum * step - rate * (4 * x * x * x - 2 * x + noise(random));
    x += step;
  }
  if (!std::isfinite(x)) throw std::domain_error("diverged");
  return x * x * x * x - x * x;
}

int main() {
  using Trial = decltype(bulkhead::delayed(train, 0.1, 0.1));
  std::vector<Trial> trials;
  for (const double rate : {0.001, 0.01, 0.1, 1.0}) {
    for (const double momentum : {0.0, 0.5, 0.9})
      trials.push_back(bulkhead::delayed(train, rate, momentum));
  }
  bulkhead::Pool pool;
  const auto losses = pool.try_run(trials, {.seed = 42});
  std::size_t best = 0;
  int failed = 0;
  for (std::size_t i = 0; i < losses.size(); ++i) {
    if (!losses[i]) ++failed;
    if (losses[i].value_or(1) < losses[best].value_or(1)) best = i;
  }
  std::printf("%zu trials, %d diverged; the best one: trial %zu, loss %.4f\n", losses.size(),
              failed, best, *losses[best]);
}

// Prints:
// 12 trials, 4 diverged; the best one: trial 1, loss -0.2500
