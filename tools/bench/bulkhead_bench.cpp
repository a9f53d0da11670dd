// SPDX-License-Identifier: MIT
// bulkhead itself, with default settings, on every workload.

#include "bench.hpp"
#include <bulkhead/pool.hpp>

#include <cstddef>
#include <cstdint>
#include <utility>

namespace {

bench::Figure noop(std::size_t size) {
  bulkhead::Pool pool(bulkhead::Options{.workers = 2});
  return bench::noop(size, [&](const auto& numbers) {
    return pool.map([](std::int64_t x) { return x + 1; }, numbers);
  });
}

bench::Figure latency(std::size_t size) {
  bulkhead::Pool pool(bulkhead::Options{.workers = 1});
  return bench::latency(size, [&](std::int64_t x) {
    return pool.apply([](std::int64_t argument) { return argument + 1; }, x);
  });
}

bench::Figure small(std::size_t size) {
  bulkhead::Pool pool(bulkhead::Options{.workers = 2});
  return bench::small(size, [&](const auto& items) {
    return pool.map([](bench::Bytes bytes) { return bench::increment_all(std::move(bytes)); },
                    items);
  });
}

bench::Figure large(std::size_t size) {
  bulkhead::Pool pool(bulkhead::Options{.workers = 2});
  return bench::large(size, [&](const auto& items) {
    return pool.map([](bench::Bytes bytes) { return bench::increment_first(std::move(bytes)); },
                    items);
  });
}

bench::Figure startup(std::size_t size) {
  return bench::startup(size, [] {
    bulkhead::Pool pool(bulkhead::Options{.workers = 2});
    return pool.apply([](std::int64_t x) { return x + 1; }, std::int64_t{41});
  });
}

}  // namespace

int main(int argc, char** argv) {
  return bench::run_program(argc, argv,
                            {{"noop", noop},
                             {"latency", latency},
                             {"small", small},
                             {"large", large},
                             {"startup", startup}});
}
