// SPDX-License-Identifier: MIT
//
// The model under search: a random vector functional link network. One hidden layer with random
// weights that are never trained, then ridge regression on its outputs and on the inputs
// themselves, solved in closed form. Nothing here knows of processes.

#pragma once

#include <cstdint>
#include <string>

#include <Eigen/Core>

namespace demo {

enum class Activation : std::uint8_t { tanh, relu };

/// One point of the search: all that decides what a classifier becomes, given the data.
struct Setting {
  std::int32_t hidden = 256;  // random features, at least 1
  double ridge = 1.0;         // penalty on large weights, above 0
  Activation activation = Activation::tanh;
  std::uint64_t seed = 1;  // of the random weights

  /// How a setting travels to a worker: cereal finds this member.
  template <class Archive>
  void serialize(Archive& archive) {
    archive(hidden, ridge, activation, seed);
  }
};

/// "576 hidden, relu, ridge 0.1, seed 2"
std::string to_string(const Setting& setting);

/// The features of each row of `inputs`: the inputs, `hidden` random features of them, and a 1.
/// Throws std::invalid_argument for a setting without meaning.
Eigen::MatrixXd random_features(const Eigen::MatrixXd& inputs, const Setting& setting);

/// Weights (features x kClasses) of the ridge regression from features to one target per class.
Eigen::MatrixXd fit(const Eigen::MatrixXd& features, const Eigen::VectorXi& labels, double ridge);

/// The class with the largest response, for each row of `features`.
Eigen::VectorXi predict(const Eigen::MatrixXd& features, const Eigen::MatrixXd& weights);

}  // namespace demo
