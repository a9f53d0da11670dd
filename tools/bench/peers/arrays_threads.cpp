// SPDX-License-Identifier: MIT
// The `squares` and `histogram` workloads by threads of one process, which has mapped the file:
// each has a share of it.

#include "arrays.hpp"
#include "bench.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <fcntl.h>
#include <span>
#include <string>
#include <sys/mman.h>
#include <thread>
#include <unistd.h>
#include <vector>

namespace {

/// Calls `work(share, number)` for as many shares of the file as there are workers.
template <class Work>
double share_out(const bench::Request& request, Work work) {
  const std::string path = bench::doubles_file(request.size);
  const std::size_t size = request.size * 1000;
  void* mapped = nullptr;
  const double taken = bench::seconds([&] {
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    mapped = ::mmap(nullptr, size * sizeof(double), PROT_READ, MAP_SHARED, fd, 0);
    bench::require(mapped != MAP_FAILED, "the doubles cannot be mapped");
    const std::span<const double> values(static_cast<const double*>(mapped), size);
    std::vector<std::jthread> threads;
    for (std::size_t i = 0; i < request.workers; ++i) {
      threads.emplace_back([&, i] {
        const std::size_t begin = size * i / request.workers;
        work(values.subspan(begin, size * (i + 1) / request.workers - begin), i);
      });
    }
    for (std::jthread& thread : threads) thread.join();
    ::close(fd);
  });
  ::munmap(mapped, size * sizeof(double));
  return taken;
}

/// Brings it in in one step: that is faster than a fault for each few pages.
void bring_in(std::span<const double> values) {
#ifdef MADV_POPULATE_READ
  constexpr std::uintptr_t kPage = 4096;
  const auto begin = reinterpret_cast<std::uintptr_t>(values.data()) / kPage * kPage;
  const auto end = reinterpret_cast<std::uintptr_t>(values.data() + values.size());
  ::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_POPULATE_READ);
#endif
}

/// Small enough for the counts of a block.
constexpr std::size_t kBlock = std::size_t{1} << 17;

template <class Work>
void for_each_block(std::span<const double> share, Work work) {
  for (std::size_t at = 0; at < share.size(); at += kBlock) {
    const std::span<const double> block = share.subspan(at, std::min(kBlock, share.size() - at));
    bring_in(block);
    work(block);
  }
}

bench::Figure squares(const bench::Request& request) {
  std::vector<double> sums(request.workers);
  const double taken = share_out(request, [&](std::span<const double> share, std::size_t i) {
    double sum = 0;
    for_each_block(share,
                   [&sum](std::span<const double> some) { sum += bench::sum_of_squares(some); });
    sums[i] = sum;
  });
  double all = 0;
  for (const double sum : sums) all += sum;
  bench::require_squares(all, request.size);
  return bench::rate(request, taken);
}

bench::Figure histogram(const bench::Request& request) {
  std::vector<bench::Histogram> bins(request.workers);
  const double taken = share_out(request, [&](std::span<const double> share, std::size_t i) {
    bench::Histogram counts{};
    for_each_block(
        share, [&counts](std::span<const double> some) { bench::count_bins(some, counts.data()); });
    bins[i] = counts;
  });
  bench::Histogram all{};
  for (const bench::Histogram& some : bins) {
    for (std::size_t k = 0; k < bench::kBins; ++k) all[k] += some[k];
  }
  bench::require_bins(all, request.size);
  return bench::rate(request, taken);
}

}  // namespace

int main(int argc, char** argv) {
  return bench::run_program(argc, argv, {{"squares", squares}, {"histogram", histogram}});
}
