// SPDX-License-Identifier: MIT
//
// Section 2 of the demo; see search.hpp.

#include "search.hpp"

#include "progress_line.hpp"
#include "random.hpp"
#include "stopwatch.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdio>
#include <numeric>
#include <utility>

namespace demo {
namespace {

constexpr int kFolds = 5;
constexpr std::uint64_t kShuffleSeed = 20240229;
constexpr double kGoodAccuracy = 0.95;
constexpr std::size_t kRowsShown = 5;

Digits search_data;  // written once, before the pool; inherited by every worker

/// Which rows are held out in each fold, after one fixed shuffle of all rows.
std::vector<std::vector<int>> make_folds(Eigen::Index rows) {
  std::vector<int> order(static_cast<std::size_t>(rows));
  std::iota(order.begin(), order.end(), 0);
  Random(kShuffleSeed).shuffle(order);
  std::vector<std::vector<int>> folds(kFolds);
  for (std::size_t i = 0; i < order.size(); ++i) folds[i % kFolds].push_back(order[i]);
  return folds;
}

std::vector<int> all_but(const std::vector<std::vector<int>>& folds, std::size_t held_out) {
  std::vector<int> rows;
  for (std::size_t f = 0; f < folds.size(); ++f) {
    if (f != held_out) rows.insert(rows.end(), folds[f].begin(), folds[f].end());
  }
  return rows;
}

/// How many of the rows `test` a classifier fitted to the rows `train` reads right.
Eigen::Index count_right(const Eigen::MatrixXd& features, const std::vector<int>& train,
                         const std::vector<int>& test, double ridge) {
  const Eigen::VectorXi& labels = search_data.labels;
  const Eigen::MatrixXd weights = fit(features(train, Eigen::all), labels(train), ridge);
  const Eigen::VectorXi guesses = predict(features(test, Eigen::all), weights);
  return (guesses.array() == labels(test).array()).count();
}

double deviation(const std::vector<double>& values) {
  const auto count = static_cast<double>(values.size());
  const double mean = std::accumulate(values.begin(), values.end(), 0.0) / count;
  double squares = 0.0;
  for (const double value : values) squares += (value - mean) * (value - mean);
  return std::sqrt(squares / count);
}

}  // namespace

std::vector<Setting> make_grid(bool quick) {
  const std::vector<int> hidden = quick ? std::vector{96, 192} : std::vector{192, 384, 576, 768};
  const std::vector<double> ridges = {0.3, 3.0, 30.0};
  const std::vector<std::uint64_t> seeds =
      quick ? std::vector<std::uint64_t>{1} : std::vector<std::uint64_t>{1, 2};
  std::vector<Setting> grid;
  for (const std::uint64_t seed : seeds) {
    for (const Activation activation : {Activation::tanh, Activation::relu}) {
      for (const double ridge : ridges) {
        for (const int units : hidden) grid.push_back({units, ridge, activation, seed});
      }
    }
  }
  return grid;
}

void set_search_data(Digits digits) {
  search_data = std::move(digits);
}

Score evaluate(const Setting& setting) {
  const Eigen::MatrixXd features = random_features(search_data.pixels, setting);
  const std::vector<std::vector<int>> folds = make_folds(search_data.size());
  Eigen::Index right = 0;
  std::vector<double> accuracies;
  for (std::size_t f = 0; f < folds.size(); ++f) {
    const Eigen::Index hits = count_right(features, all_but(folds, f), folds[f], setting.ridge);
    right += hits;
    accuracies.push_back(static_cast<double>(hits) / static_cast<double>(folds[f].size()));
  }
  return {static_cast<double>(right) / static_cast<double>(search_data.size()),
          deviation(accuracies)};
}

std::vector<Score> search(bulkhead::Pool& pool, const std::vector<Setting>& settings) {
  std::printf("2. Hyper-parameter search: %zu settings, %d-fold cross-validation, %td digits\n\n",
              settings.size(), kFolds, search_data.size());
  const Stopwatch time;
  std::vector<Score> scores;
  {
    ProgressLine line;
    const bulkhead::CallOptions options{
        .progress = [&line](const bulkhead::Progress& progress) { line.show(progress); }};
    scores = pool.map(evaluate, settings, options);
  }
  std::printf("   searched in %.2f s by %d workers\n\n", time.seconds(), pool.workers());
  return scores;
}

bool report_search(const std::vector<Setting>& settings, const std::vector<Score>& scores) {
  std::vector<std::size_t> ranking(scores.size());
  std::iota(ranking.begin(), ranking.end(), std::size_t{0});
  std::stable_sort(ranking.begin(), ranking.end(), [&scores](std::size_t a, std::size_t b) {
    return scores[a].accuracy > scores[b].accuracy;
  });

  std::printf("   rank  accuracy          setting\n");
  for (std::size_t i = 0; i < std::min(kRowsShown, ranking.size()); ++i) {
    const Score& score = scores[ranking[i]];
    std::printf("   %3zu   %.4f +- %.4f  %s\n", i + 1, score.accuracy, score.spread,
                to_string(settings[ranking[i]]).c_str());
  }

  const std::size_t best = ranking.front();
  const bool good = scores[best].accuracy > kGoodAccuracy;
  const bool same = evaluate(settings[best]) == scores[best];
  std::printf("\n   best accuracy above %.2f: %s\n", kGoodAccuracy, good ? "yes" : "NO");
  std::printf("   best setting evaluated again in this process: %s\n\n",
              same ? "the same score" : "ANOTHER SCORE");
  return good && same;
}

}  // namespace demo
