// SPDX-License-Identifier: MIT
//
// Random features and ridge regression; see classifier.hpp.

#include "classifier.hpp"

#include "digits.hpp"
#include "random.hpp"

#include <cmath>
#include <cstdio>
#include <stdexcept>

#include <Eigen/Cholesky>

namespace demo {
namespace {

// Spread of the random weights: large enough to bend the activation, small enough not to saturate
// it, for 64 inputs in [0, 1].
constexpr double kWeightScale = 0.4;

const char* name_of(Activation activation) {
  return activation == Activation::tanh ? "tanh" : "relu";
}

void check(const Setting& setting) {
  if (setting.hidden < 1) {
    throw std::invalid_argument("hidden must be at least 1 in setting " + to_string(setting));
  }
  if (!(setting.ridge > 0.0) || !std::isfinite(setting.ridge)) {
    throw std::invalid_argument("ridge must be a number above 0 in setting " + to_string(setting));
  }
}

Eigen::MatrixXd random_matrix(Eigen::Index rows, Eigen::Index columns, Random& random) {
  Eigen::MatrixXd matrix(rows, columns);
  for (double& entry : matrix.reshaped()) entry = kWeightScale * random.normal();
  return matrix;
}

/// 1 in the column of the label, -1 elsewhere.
Eigen::MatrixXd targets_of(const Eigen::VectorXi& labels) {
  Eigen::MatrixXd targets = Eigen::MatrixXd::Constant(labels.size(), kClasses, -1.0);
  for (Eigen::Index i = 0; i < labels.size(); ++i) targets(i, labels[i]) = 1.0;
  return targets;
}

}  // namespace

std::string to_string(const Setting& setting) {
  char text[96];
  std::snprintf(text, sizeof text, "%d hidden, %s, ridge %g, seed %llu", setting.hidden,
                name_of(setting.activation), setting.ridge,
                static_cast<unsigned long long>(setting.seed));
  return text;
}

Eigen::MatrixXd random_features(const Eigen::MatrixXd& inputs, const Setting& setting) {
  check(setting);
  Random random(setting.seed);
  const Eigen::MatrixXd weights = random_matrix(inputs.cols(), setting.hidden, random);
  const Eigen::RowVectorXd offsets = random_matrix(1, setting.hidden, random);

  Eigen::MatrixXd features(inputs.rows(), inputs.cols() + setting.hidden + 1);
  features.leftCols(inputs.cols()) = inputs;
  auto hidden = features.middleCols(inputs.cols(), setting.hidden);
  hidden.noalias() = (inputs.array() - 0.5).matrix() * weights;
  hidden.rowwise() += offsets;
  if (setting.activation == Activation::tanh) {
    hidden = hidden.array().tanh();
  } else {
    hidden = hidden.array().max(0.0);
  }
  features.rightCols<1>().setOnes();
  return features;
}

Eigen::MatrixXd fit(const Eigen::MatrixXd& features, const Eigen::VectorXi& labels, double ridge) {
  // Solves (F'F + ridge I) W = F'T; F'F is symmetric, so one half of it is enough.
  Eigen::MatrixXd gram = ridge * Eigen::MatrixXd::Identity(features.cols(), features.cols());
  gram.selfadjointView<Eigen::Lower>().rankUpdate(features.transpose());
  const Eigen::MatrixXd moments = features.transpose() * targets_of(labels);
  return gram.selfadjointView<Eigen::Lower>().llt().solve(moments);
}

Eigen::VectorXi predict(const Eigen::MatrixXd& features, const Eigen::MatrixXd& weights) {
  const Eigen::MatrixXd responses = features * weights;
  Eigen::VectorXi labels(responses.rows());
  for (Eigen::Index i = 0; i < responses.rows(); ++i) responses.row(i).maxCoeff(&labels[i]);
  return labels;
}

}  // namespace demo
