// SPDX-License-Identifier: MIT
// `words`: words of a text counted by Pool::map_reduce_by_key. `size` MiB of text, of `parameter`
// thousand different words. `words-uniform`: all are equally frequent; `words-in-64` and so on: in
// so many MiB of memory; `words-whole`: without commits on the way.

#include "bench.hpp"
#include "words.hpp"
#include <bulkhead/by_key.hpp>
#include <bulkhead/pool.hpp>

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace {

bench::Figure count(const bench::Request& request, bool uniform,
                    const bulkhead::KeyedOptions& options) {
  const bench::WordsFile file = bench::words_file(request.size, request.parameter * 1000, uniform);
  bulkhead::Pool pool(request.worker_count());
  const auto emit_words = [](std::string_view lines, auto& emit) {
    for (const std::string_view word : bulkhead::words(lines)) emit(word);
  };
  std::uint64_t distinct = 0;
  std::uint64_t words = 0;
  std::uint64_t sum = 0;
  bulkhead::KeyedStats stats;
  const double taken = bench::seconds([&] {
    auto counts = pool.map_reduce_by_key<std::string, std::uint64_t>(
        bulkhead::text(file.path), emit_words, bulkhead::sum, options);
    stats = counts.stats();
    for (const auto& [word, times] : counts) {
      ++distinct;
      words += times;
      sum += times * bench::digest(word.data(), word.size());
    }
  });
  bench::require(words == file.words && sum == file.sum, "wrong counts");
  return {static_cast<double>(file.bytes) / taken * 1e-9,
          "GB/s",
          {{"seconds", taken},
           {"distinct", static_cast<double>(distinct)},
           {"job", std::chrono::duration<double>(stats.elapsed).count()},
           {"runs", static_cast<double>(stats.runs)},
           {"disk_mib", static_cast<double>(stats.spilled_bytes >> 20)}}};
}

bench::Figure words(const bench::Request& request) {
  return count(request, false, {});
}
bench::Figure words_uniform(const bench::Request& request) {
  return count(request, true, {});
}
template <bool kUniform, std::uint64_t kMib>
bench::Figure words_in(const bench::Request& request) {
  return count(request, kUniform, {.memory = kMib << 20});
}
bench::Figure words_whole(const bench::Request& request) {
  return count(request, false, {.commit_interval = std::uint64_t{1} << 40});
}

}  // namespace

int main(int argc, char** argv) {
  return bench::run_program(argc, argv,
                            {{"words", words},
                             {"words-uniform", words_uniform},
                             {"words-in-64", words_in<false, 64>},
                             {"words-in-128", words_in<false, 128>},
                             {"words-in-256", words_in<false, 256>},
                             {"words-in-512", words_in<false, 512>},
                             {"words-in-1024", words_in<false, 1024>},
                             {"words-uniform-in-64", words_in<true, 64>},
                             {"words-uniform-in-128", words_in<true, 128>},
                             {"words-uniform-in-256", words_in<true, 256>},
                             {"words-uniform-in-512", words_in<true, 512>},
                             {"words-uniform-in-1024", words_in<true, 1024>},
                             {"words-whole", words_whole}});
}
