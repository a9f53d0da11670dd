// SPDX-License-Identifier: MIT
// `squares` and `histogram`: of the doubles of a file, which workers map, a block at a time.

#include "arrays.hpp"
#include "bench.hpp"
#include <bulkhead/dense.hpp>
#include <bulkhead/mapped.hpp>
#include <bulkhead/pool.hpp>

#include <cstdint>
#include <functional>
#include <span>
#include <string>

namespace {

bench::Figure squares(const bench::Request& request) {
  const std::string path = bench::doubles_file(request.size);
  bulkhead::Pool pool(request.worker_count());
  (void)pool.map(std::negate<>{}, {1, 2});
  double sum = 0;
  const double taken = bench::seconds([&] {
    sum = pool.map_reduce(
        bulkhead::mapped<double>(path),
        [](std::span<const double> block) { return bench::sum_of_squares(block); }, std::plus<>{},
        0.0);
  });
  bench::require_squares(sum, request.size);
  return bench::rate(request, taken);
}

bench::Figure histogram(const bench::Request& request) {
  using Bins = bulkhead::Dense<std::uint64_t>;
  const std::string path = bench::doubles_file(request.size);
  bulkhead::Pool pool(request.worker_count());
  (void)pool.map(std::negate<>{}, {1, 2});
  Bins bins;
  const double taken = bench::seconds([&] {
    bins = pool.map_reduce(
        bulkhead::mapped<double>(path),
        [](std::span<const double> block) {
          Bins some(bench::kBins);
          bench::count_bins(block, some.data());
          return some;
        },
        std::plus<>{}, Bins{});
  });
  bench::require_bins({bins.data(), bins.size()}, request.size);
  return bench::rate(request, taken);
}

}  // namespace

int main(int argc, char** argv) {
  return bench::run_program(argc, argv, {{"squares", squares}, {"histogram", histogram}});
}
