// SPDX-License-Identifier: MIT
//
// The demo: a process pool at real work. Section 1 spreads a CPU-bound loop over all CPUs, section
// 2 searches the best classifier of handwritten digits, section 3 does so again while three tasks
// crash or throw. Each section checks itself; the exit code is 0 only if all did well.

#include "cpu_loop.hpp"
#include "digits.hpp"
#include "poison.hpp"
#include "search.hpp"
#include <bulkhead/pool.hpp>

#include <cstdint>
#include <cstdio>
#include <exception>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

namespace {

struct Arguments {
  std::string data = BULKHEAD_DEMO_DATA;  // the CSV file in the source tree
  int workers = 0;                        // 0: one per usable CPU
  bool quick = false;
};

bool run(const Arguments& arguments) {
  // The data is loaded before the pool is made: the pool's workers are forked from this process as
  // it is then, and so have the data without any of it being sent.
  demo::set_search_data(demo::load_digits(arguments.data));

  bulkhead::Options options;
  if (arguments.workers > 0) options.workers = arguments.workers;
  bulkhead::Pool pool(options);

  const std::uint64_t steps = arguments.quick ? 10'000'000 : 200'000'000;
  const bool loop_fine = demo::run_cpu_loop(pool, steps);

  const std::vector<demo::Setting> grid = demo::make_grid(arguments.quick);
  const std::vector<demo::Score> scores = demo::search(pool, grid);
  const bool search_fine = demo::report_search(grid, scores);

  const bool poison_fine = demo::run_poisoned_search(pool, grid, scores);
  return loop_fine && search_fine && poison_fine;
}

}  // namespace

int main(int argc, char** argv) {
  Arguments arguments;
  CLI::App app("A process pool at work: a CPU-bound loop, a search, and a search with crashes.");
  app.add_option("--data", arguments.data, "CSV file of digits")->check(CLI::ExistingFile);
  app.add_option("--workers", arguments.workers, "worker processes (default: one per usable CPU)")
      ->check(CLI::Range(1, 1024));
  app.add_flag("--quick", arguments.quick, "smaller work, a few seconds in all");
  CLI11_PARSE(app, argc, argv);

  std::setvbuf(stdout, nullptr, _IOLBF, BUFSIZ);  // keeps its place among stderr's lines in a log
  try {
    const bool fine = run(arguments);
    std::puts(fine ? "All checks passed." : "A CHECK FAILED, see above.");
    return fine ? 0 : 1;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "demo: %s\n", error.what());
    return 1;
  }
}
