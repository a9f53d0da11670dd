// SPDX-License-Identifier: MIT
//
// Keyed jobs on bad days: every pair is counted once, whoever dies meanwhile.
#include "tests/support/keyed.hpp"
#include "tests/support/numbers.hpp"
#include "tests/support/sanitizer.hpp"
#include "tests/support/shared.hpp"
#include "tests/support/thrown.hpp"
#include "tests/support/victims.hpp"
#include <bulkhead/by_key.hpp>
#include <bulkhead/pool.hpp>
#include <bulkhead/this_task.hpp>
#include <bulkhead/this_worker.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <iterator>
#include <map>
#include <random>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <string_view>
#include <thread>
#include <unistd.h>

#include <gmock/gmock.h>

namespace bulkhead {
namespace {

using test::count_plainly;
using test::count_words;
using test::Counts;
using test::kCountWords;
using test::map_of;
using test::random_text;
using test::scarce;
using ::testing::HasSubstr;

class KeyedFaultTest : public test::KeyedTest {};

/// Dies in the midst of the work, the first time.
constexpr auto kDieOnce = [](std::string_view lines, auto& emit) {
  std::size_t n = 0;
  for (const std::string_view word : words(lines)) {
    if (++n == 1000 && this_task::attempt() == 1 && this_task::index() % 3 == 1)
      test::kills_itself(0);
    emit(word);
  }
};

TEST_F(KeyedFaultTest, CountsNothingTwiceWhoeverDies) {
  const std::string content = random_text(2'000'000);
  const std::string path = write("text", content);
  Pool pool(2);
  auto result = pool.map_reduce_by_key<std::string, std::uint64_t>(
      text(path, {.split = 20'000}), kDieOnce, sum, {.commit_interval = 200'000});
  EXPECT_EQ(map_of(result), count_plainly(content));
}

/// A thousand and more take a while: set BULKHEAD_TEST_KILLS for them.
int wanted_kills() {
  const char* const variable = std::getenv("BULKHEAD_TEST_KILLS");
  if (variable != nullptr) return std::atoi(variable);
  return test::kSanitized ? 30 : 200;
}

/// By its number in the pool: the worker there, once it has had an element; 0 if it has not.
struct State {
  std::array<std::atomic<pid_t>, 2> experienced;
};
const test::Shared<State> state;

void gain_experience() {
  state->experienced.at(static_cast<std::size_t>(this_worker::number())) = ::getpid();
}

/// Ends workers of a pool at random while it lives: experienced ones, as five in a row that never
/// came to their work would end the call.
class Killer {
 public:
  explicit Killer(Pool& pool) : zygote_(test::zygote_of(pool)) {}

  [[nodiscard]] int kills() const { return kills_; }

 private:
  static constexpr int kLongestPause = test::kSanitized ? 100'000 : 8000;  // us

  void run(const std::stop_token& stop) {
    std::minstd_rand random(1);
    while (!stop.stop_requested()) {
      std::this_thread::sleep_for(std::chrono::microseconds(random() % kLongestPause));
      std::atomic<pid_t>& experienced = state->experienced.at(random() % 2);
      const pid_t worker = experienced;
      if (worker == 0) continue;
      test::kill_child_of(zygote_, worker);
      experienced = 0;
      ++kills_;
    }
  }

  const pid_t zygote_;
  std::atomic<int> kills_ = 0;
  std::jthread thread_{[this](const std::stop_token& stop) { run(stop); }};
};

TEST_F(KeyedFaultTest, IsTheSameWhereverWorkersAreKilled) {
  const std::string content = random_text(1'000'000);
  const std::string path = write("text", content);
  const Counts expected = count_plainly(content);
  const auto count_beside = [](std::string_view some, auto& emit) {
    gain_experience();
    for (const std::string_view line : lines(some)) {
      emit.count("lines");
      for (const std::string_view word : words(line)) emit(word);
    }
  };
  const auto size = [](const std::string&, Values<std::uint64_t>& values) {
    gain_experience();
    return static_cast<std::uint64_t>(std::ranges::distance(values.begin(), values.end()));
  };
  const auto number_of_lines = static_cast<std::uint64_t>(std::ranges::count(content, '\n')) + 1;
  state.reset();
  Pool pool(2);
  KeyedOptions options{.memory = std::uint64_t{2} << 20, .commit_interval = 100'000};
  options.retries = {.crashes = 1000};
  const Killer killer(pool);
  while (killer.kills() < wanted_kills()) {
    const TextInput input = text(path, {.split = 20'000});
    auto counts =
        pool.map_reduce_by_key<std::string, std::uint64_t>(input, count_beside, sum, options);
    ASSERT_EQ(map_of(counts), expected) << killer.kills();
    ASSERT_EQ(counts.counters().at("lines"), number_of_lines) << killer.kills();
    auto sizes = pool.map_reduce_by_key<std::string, std::uint64_t>(input, count_beside,
                                                                    group(size), options);
    ASSERT_EQ(map_of(sizes), expected) << killer.kills();
    ASSERT_EQ(sizes.counters().at("lines"), number_of_lines) << killer.kills();
  }
}

TEST_F(KeyedFaultTest, BlamesThePieceThatFails) {
  const std::string content = random_text(500'000);
  const std::string path = write("text", content);
  Pool pool(2);
  const auto fail = [](std::string_view lines, auto& emit) {
    if (this_task::index() == 17) throw std::runtime_error("no");
    for (const std::string_view word : words(lines)) emit(word);
  };
  try {
    (void)pool.map_reduce_by_key<std::string, std::uint64_t>(text(path, {.split = 10'000}), fail,
                                                             sum);
    FAIL() << "no exception";
  } catch (const RemoteError& error) {
    EXPECT_EQ(error.failure().task(), 17U);
    EXPECT_THAT(error.failure().what(), HasSubstr("no; in " + path + ", bytes 170000 to 180000"));
  }
  EXPECT_EQ(count_words(pool, text(path)), count_plainly(content)) << "the next job";
}

TEST_F(KeyedFaultTest, CountsNothingTwiceInGroupsWhoeverDies) {
  const std::string content = random_text(500'000);
  const std::string path = write("text", content);
  Pool pool(2);
  const auto size = [](const std::string&, Values<std::uint64_t>& values) {
    return static_cast<std::uint64_t>(std::ranges::distance(values.begin(), values.end()));
  };
  KeyedOptions options = scarce();
  options.call.retries = {.crashes = 1};
  auto sizes = pool.map_reduce_by_key<std::string, std::uint64_t>(text(path, {.split = 20'000}),
                                                                  kDieOnce, group(size), options);
  EXPECT_EQ(map_of(sizes), count_plainly(content));
}

TEST_F(KeyedFaultTest, RefusesOptionsThatMakeNoSense) {
  const std::string path = write("text", "a");
  Pool pool(1);
  const auto refusal = [&](const KeyedOptions& options) {
    return test::text_of<InvalidArgument>([&] { (void)count_words(pool, text(path), options); });
  };
  EXPECT_THAT(refusal({.memory = 1000}), HasSubstr("KeyedOptions::memory is 1000 bytes"));
  EXPECT_THAT(refusal({.commit_interval = 0}), HasSubstr("KeyedOptions::commit_interval is 0"));
  EXPECT_THAT(refusal({.spill = {folder_ / "none"}}), HasSubstr("there is no folder"));
  EXPECT_THAT(refusal({.memory = std::uint64_t{0} - (std::uint64_t{1} << 31)}),
              HasSubstr("a negative or overflown number?"));
  EXPECT_THAT(refusal({.retries = {.crashes = -1}}), HasSubstr("Retries::crashes is -1"));
  EXPECT_THAT(test::text_of<InvalidArgument>([&] { (void)text(path, {.split = 0}); }),
              HasSubstr("TextOptions::split is 0"));
}

TEST_F(KeyedFaultTest, ATextThatChangesDuringTheJobIsAnError) {
  const std::string path = write("text", random_text(100'000));
  Pool pool(1);
  const TextInput before = text(path);
  std::filesystem::resize_file(path, 50'000);
  EXPECT_THAT(test::text_of<RemoteError>([&] { (void)count_words(pool, before); }),
              HasSubstr("text has changed since the job began"));
  EXPECT_FALSE(count_words(pool, text(path)).empty()) << "the next job";
}

/// Fails in different ways.
constexpr auto kFailAtSome = [](int x, auto& emit) {
  emit(x % 10);
  if (x % 1000 == 7) throw std::runtime_error("seven");
  if (x % 10'000 == 8) test::kills_itself(x);
  emit.count("whole");
};

TEST_F(KeyedFaultTest, WhatFailsIsSkippedIfAskedForAndNothingElse) {
  Pool pool(2);
  const KeyedOptions options{.skip_failed = true};
  auto counts =
      pool.map_reduce_by_key<int, int>(test::numbers(0, 50'000), kFailAtSome, sum, options);
  EXPECT_EQ(map_of(counts), (std::map<int, int>{{0, 5000},
                                                {1, 5000},
                                                {2, 5000},
                                                {3, 5000},
                                                {4, 5000},
                                                {5, 5000},
                                                {6, 5000},
                                                {7, 4950},
                                                {8, 4995},
                                                {9, 5000}}));
  EXPECT_EQ(counts.counters().at("whole"), 49'945U);
  EXPECT_EQ(counts.stats().skipped, 55U);
  ASSERT_EQ(counts.skipped().size(), 55U);
  EXPECT_EQ(counts.skipped()[0].task(), 7U);
  EXPECT_THAT(counts.skipped()[0].what(), HasSubstr("seven"));
  EXPECT_EQ(counts.skipped()[1].task(), 8U);
  EXPECT_EQ(counts.skipped()[1].kind(), FailureKind::crashed);
  EXPECT_EQ(counts.stats().pieces, 49'945U);
}

TEST_F(KeyedFaultTest, TheVeryElementOfARangeIsBlamed) {
  Pool pool(2);
  const auto fail = [](int x, auto& emit) {
    if (x == 4321) throw std::runtime_error("no");
    emit(x);
  };
  try {
    (void)pool.map_reduce_by_key<int, int>(test::numbers(0, 10'000), fail, sum);
    FAIL() << "no exception";
  } catch (const RemoteError& error) {
    EXPECT_EQ(error.failure().task(), 4321U);
  }
}

TEST_F(KeyedFaultTest, ACombinerThatFailsIsBlamedOnTheElementThatIsAdded) {
  Pool pool(1);
  const auto emit_all = [](int x, auto& emit) { emit(0, x); };
  const auto picky = [](int a, int b) {
    if (b == 777) throw std::runtime_error("777");
    return a + b;
  };
  const KeyedOptions options{.skip_failed = true};
  auto sums =
      pool.map_reduce_by_key<int, int>(test::numbers(0, 1000), emit_all, combine(picky), options);
  EXPECT_EQ(map_of(sums), (std::map<int, int>{{0, 999 * 500 - 777}}));
  ASSERT_EQ(sums.skipped().size(), 1U);
  EXPECT_EQ(sums.skipped()[0].task(), 777U);
}

TEST_F(KeyedFaultTest, AKeyThatIsTooLargeForTheMemoryIsAnError) {
  Pool pool(2);
  const auto emit_large = [](int x, auto& emit) { emit(std::string(3'000'000, 'x'), x); };
  const KeyedOptions little{.memory = std::uint64_t{1} << 20};
  EXPECT_THAT(test::text_of<RemoteError>([&] {
                (void)pool.map_reduce_by_key<std::string, int>(test::numbers(0, 3), emit_large, sum,
                                                               little);
              }),
              HasSubstr("a key of 3000000 bytes is too large for the memory of a keyed job"));
  const auto size = [](const std::string& key, Values<int>&) { return key.size(); };
  EXPECT_THAT(test::text_of<RemoteError>([&] {
                (void)pool.map_reduce_by_key<std::string, int>(test::numbers(0, 3), emit_large,
                                                               group(size), little);
              }),
              HasSubstr("too large for the memory of a keyed job"));
}

TEST_F(KeyedFaultTest, SpillsNoMoreThanItMay) {
  Pool pool(2);
  const auto emit_all = [](int x, auto& emit) { emit(std::to_string(x) + "; a long key", x); };
  const auto refusal = [&](const KeyedOptions& options) {
    return test::text_of<SystemError>([&] {
      (void)pool.map_reduce_by_key<std::string, int>(test::numbers(0, 200'000), emit_all, sum,
                                                     options);
    });
  };
  EXPECT_THAT(
      refusal({.memory = std::uint64_t{1} << 20, .spill = {folder_}, .spill_limit = 1'000'000}),
      HasSubstr("more than the 1000000 bytes of KeyedOptions::spill_limit"));
  const auto all_values = [](const std::string&, Values<int>& values) {
    return values.to_vector();
  };
  EXPECT_THAT(
      test::text_of<SystemError>([&] {
        (void)pool.map_reduce_by_key<std::string, int>(
            test::numbers(0, 200'000), emit_all, group(all_values),
            {.memory = std::uint64_t{1} << 20, .spill = {folder_}, .spill_limit = 8'000'000});
      }),
      HasSubstr("more than the 8000000 bytes of KeyedOptions::spill_limit"));
  EXPECT_THAT(refusal({.memory = std::uint64_t{1} << 20, .spill = {}}),
              HasSubstr("there is no folder to spill to"));
  EXPECT_TRUE(std::filesystem::is_empty(folder_));
  auto few = pool.map_reduce_by_key<std::string, int>(test::numbers(0, 10), emit_all, sum);
  EXPECT_EQ(map_of(few).size(), 10U) << "the next job";
}

TEST_F(KeyedFaultTest, AnInputMayBeMuchLargerThanWhatWorkersMayHave) {
  if (test::kSanitized) GTEST_SKIP() << "sanitizers need memory of their own";
  constexpr std::uint64_t kLimit = std::uint64_t{16} << 20;
  std::string content;
  std::uint64_t numbers = 0;
  for (; content.size() < 4 * kLimit; ++numbers) {
    content += std::string(50, 'x') + std::to_string(numbers) + '\n';
  }
  const std::string path = write("numbers", content);
  Pool pool({.workers = 2, .limits = {.memory = kLimit}});
  auto counts = pool.map_reduce_by_key<std::string, int>(text(path), kCountWords, sum);
  std::uint64_t keys = 0;
  for (const auto& [word, number] : counts) keys += number == 1 ? 1 : 0;
  EXPECT_EQ(keys, numbers);
  const auto size = [](const std::string&, Values<int>& values) {
    return values.to_vector().size();
  };
  auto sizes = pool.map_reduce_by_key<std::string, int>(text(path), kCountWords, group(size));
  EXPECT_EQ(sizes.stats().keys, numbers);
}

TEST_F(KeyedFaultTest, AnElementThatCatchesWhatEmitThrowsFailsAllTheSame) {
  Pool pool(1);
  const auto catch_all = [](int x, auto& emit) {
    for (int i = 0; i < 300; ++i) {
      try {
        emit(i % 7, x == 13 && i == 12 ? 1000 : 1);
      } catch (const std::runtime_error&) {
        emit.count("caught");
      }
    }
  };
  const auto picky = [](int a, int b) {
    if (b == 1000) throw std::runtime_error("no");
    return a + b;
  };
  auto sums = pool.map_reduce_by_key<int, int>(test::numbers(0, 20), catch_all, combine(picky),
                                               {.skip_failed = true});
  ASSERT_EQ(sums.skipped().size(), 1U);
  EXPECT_EQ(sums.skipped()[0].task(), 13U);
  EXPECT_THAT(sums.skipped()[0].what(), HasSubstr("emit has thrown before"));
  int all = 0;
  for (const auto& [key, value] : sums) all += value;
  EXPECT_EQ(all, 5700);
}

/// += is the user's, and may fail.
struct Picky {
  int value = 0;
  Picky& operator+=(const Picky& other) {
    if (other.value == 5) throw std::runtime_error("five");
    value += other.value;
    return *this;
  }
};

TEST_F(KeyedFaultTest, AnElementWhoseValueCannotBeAddedIsBlamed) {
  Pool pool(1);
  const auto emit_it = [](int x, auto& emit) {
    emit(0, Picky{0});
    emit(0, Picky{x});
  };
  auto sums = pool.map_reduce_by_key<int, Picky>(test::numbers(0, 300), emit_it, sum,
                                                 {.skip_failed = true});
  ASSERT_EQ(sums.skipped().size(), 1U);
  EXPECT_EQ(sums.skipped()[0].task(), 5U);
  EXPECT_EQ((*sums.begin()).second.value, 299 * 150 - 5);
}

TEST_F(KeyedFaultTest, WhatAResultTookIsGivenBackWithIt) {
  Pool pool(2);
  const auto emit_all = [](int x, auto& emit) { emit(x); };
  (void)pool.map_reduce_by_key<int, int>(test::numbers(0, 200'000), emit_all, sum);
  int files = 0;
  for (const int worker : test::placed_workers_under(test::zygote_of(pool))) {
    const std::filesystem::path folder = "/proc/" + std::to_string(worker) + "/fd";
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
      const std::string name = std::filesystem::read_symlink(entry.path());
      if (name.find("memfd:bulkhead-runs") == std::string::npos) continue;
      EXPECT_EQ(std::filesystem::file_size(entry.path()), 0U);
      ++files;
    }
  }
  EXPECT_GT(files, 0) << "what workers keep open must not keep memory";
}

}  // namespace
}  // namespace bulkhead
