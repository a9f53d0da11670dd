// SPDX-License-Identifier: MIT
//
// Dense: numbers by index, as results of tasks that are added up: histograms, counts by category.
//
//   auto histogram = pool.map_reduce(samples, [](double x) {
//     Dense<std::uint64_t> one(256); ++one[bin_of(x)]; return one; }, std::plus<>{},
//     Dense<std::uint64_t>{});
#pragma once

#include <algorithm>
#include <cstddef>
#include <utility>
#include <vector>

namespace bulkhead {

/// Is as long as the longest that has been added to it; what is not there counts as zero.
template <class T>
class Dense {
 public:
  Dense() = default;
  /// So many zeros.
  explicit Dense(std::size_t size) : values_(size) {}

  [[nodiscard]] std::size_t size() const { return values_.size(); }
  /// Below size().
  T& operator[](std::size_t index) { return values_[index]; }
  const T& operator[](std::size_t index) const { return values_[index]; }
  /// Makes room for it, if there is none.
  T& at(std::size_t index) {
    if (index >= values_.size()) values_.resize(index + 1);
    return values_[index];
  }
  [[nodiscard]] auto begin() const { return values_.begin(); }
  [[nodiscard]] auto end() const { return values_.end(); }
  [[nodiscard]] const T* data() const { return values_.data(); }
  [[nodiscard]] T* data() { return values_.data(); }

  /// Index by index.
  Dense& operator+=(const Dense& other) {
    if (values_.size() < other.size()) values_.resize(other.size());
    for (std::size_t i = 0; i < other.size(); ++i) values_[i] += other[i];
    return *this;
  }
  friend Dense operator+(Dense a, const Dense& b) {
    a += b;
    return a;
  }
  bool operator==(const Dense&) const = default;

  template <class Archive>
  void serialize(Archive& archive) {
    archive(values_);
  }

 private:
  std::vector<T> values_;
};

}  // namespace bulkhead
