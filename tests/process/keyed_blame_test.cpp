// SPDX-License-Identifier: MIT
//
// What failures of keyed jobs say: which key it was, in few words, and no other.
#include "tests/support/keyed.hpp"
#include "tests/support/numbers.hpp"
#include "tests/support/thrown.hpp"
#include "tests/support/victims.hpp"
#include <bulkhead/by_key.hpp>
#include <bulkhead/partial.hpp>
#include <bulkhead/pool.hpp>
#include <bulkhead/this_task.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

#include <gmock/gmock.h>

namespace bulkhead {
namespace {

using test::kCountWords;
using test::map_of;
using ::testing::HasSubstr;
using ::testing::Not;

class KeyedBlameTest : public test::KeyedTest {};

TEST_F(KeyedBlameTest, AFailureOfTheReductionNamesTheKey) {
  Pool pool(2);
  const auto emit_it = [](int x, auto& emit) { emit(x, 1); };
  const auto picky = [](const int& key, int value) {
    if (key == -7) throw std::runtime_error("not seven");
    return value;
  };
  const auto of_numbers = test::text_of<std::exception>([&] {
    pool.map_reduce_by_key<int, int>(test::numbers(-10, 10), emit_it, finish(sum, picky));
  });
  EXPECT_THAT(of_numbers, HasSubstr("not seven; at the key -7; in the reduction of part "));
  const auto crash = [](const std::string& key, Values<int>& values) {
    if (key == "fatal") test::aborts(0);
    return *values.begin();
  };
  const auto of_words = test::text_of<std::exception>([&] {
    pool.map_reduce_by_key<std::string, int>(text(write("text", "a fatal error")), kCountWords,
                                             group(crash));
  });
  EXPECT_THAT(of_words, HasSubstr("at the key \"fatal\""));
  const auto later = test::text_of<std::exception>([&] {
    pool.map([](int) -> int { throw std::runtime_error("another"); }, test::numbers(0, 4));
  });
  EXPECT_THAT(later, Not(HasSubstr("at the key")));
}

TEST_F(KeyedBlameTest, ACrashIsToldInFewWords) {
  Pool pool(1);
  const auto crash = [](int x, auto& emit) {
    if (x == 3) test::segfaults(x);
    emit(x, 1);
  };
  const auto message = test::text_of<CrashError>(
      [&] { pool.map_reduce_by_key<int, int>(test::numbers(0, 10), crash, sum); });
  EXPECT_THAT(message, HasSubstr("task 3 crashed: SIG"));
  EXPECT_THAT(message, HasSubstr("attempt 3; attempt 1: the same; attempt 2: the same"));
  EXPECT_THAT(message, Not(HasSubstr("bulkhead::detail")));
  EXPECT_LT(message.size(), 300U);
}

TEST_F(KeyedBlameTest, ACombinerThatFailsLaterIsNotBlamedOnAnotherKey) {
  Pool pool(1);
  const auto emit_it = [](int x, auto& emit) { emit(x % 50'000, x); };
  const auto picky = [](int a, int b) {
    if (b == 149'999) throw std::runtime_error("picky");
    return a + b;
  };
  const auto as_it_is = [](const int&, int value) { return value; };
  const auto message = test::text_of<std::exception>([&] {
    pool.map_reduce_by_key<int, int>(test::numbers(0, 150'000), emit_it,
                                     finish(combine(picky), as_it_is), test::scarce());
  });
  EXPECT_THAT(message, HasSubstr("picky"));
  EXPECT_THAT(message, Not(HasSubstr("at the key")));
}

TEST_F(KeyedBlameTest, AKeyIsForgottenWithItsJob) {
  Pool pool(1);
  const auto emit_it = [](int x, auto& emit) { emit(std::to_string(x) + " is a long key", x); };
  const auto large = [](const std::string& key, int) { return std::string(200, key[0]); };
  KeyedOptions options = test::scarce();
  options.spill = {folder_};
  options.spill_limit = 12'000'000;
  EXPECT_THROW((pool.map_reduce_by_key<std::string, int>(test::numbers(0, 100'000), emit_it,
                                                         finish(sum, large), options)),
               SystemError);
  const auto later = test::text_of<std::exception>([&] {
    pool.map([](int) -> int { throw std::runtime_error("another"); }, test::numbers(0, 1));
  });
  EXPECT_THAT(later, Not(HasSubstr("at the key")));
}

TEST_F(KeyedBlameTest, APoolWithinAFunctionOfKeysHasKeysOfItsOwn) {
  for (const bool is_inline : {false, true}) {
    Pool pool(1);
    const auto emit_it = [](int x, auto& emit) { emit(x, 1); };
    const auto with_pool = [](bool inner_inline, const int&, int value) {
      Pool inner({.workers = 1, .inline_execution = inner_inline});
      try {
        inner.map([](int) -> int { throw std::runtime_error("inner"); }, test::numbers(0, 1));
      } catch (const std::exception& error) {
        throw std::runtime_error("<" + std::string(error.what()) + ">");
      }
      return value;
    };
    const auto message = test::text_of<std::exception>([&] {
      pool.map_reduce_by_key<int, int>(test::numbers(7, 8), emit_it,
                                       finish(sum, partial(with_pool, is_inline)));
    });
    EXPECT_THAT(message, HasSubstr(">; at the key 7; in the reduction"));
    EXPECT_EQ(message.find("at the key"), message.rfind("at the key"));
  }
}

TEST_F(KeyedBlameTest, AKeyIsShownAsPeopleCanReadIt) {
  Pool pool(1);
  const std::vector<std::string> keys{std::string("a\0b\n\x1B[31m", 9), std::string(100, 'k'),
                                      std::string(47, 'k') + "\u00FC and more"};
  const auto emit_it = [](const std::string& key, auto& emit) { emit(key, 1); };
  const auto fail = [](const std::string&, int) -> int { throw std::runtime_error("no"); };
  const std::vector<std::string> shown{"\"a\\x00b\\x0A\\x1B[31m\"; in the reduction",
                                       '"' + std::string(48, 'k') + "...\"; in",
                                       '"' + std::string(47, 'k') + "...\"; in"};
  for (std::size_t i = 0; i != keys.size(); ++i) {
    const auto message = test::text_of<std::exception>([&] {
      pool.map_reduce_by_key<std::string, int>(std::vector{keys[i]}, emit_it, finish(sum, fail));
    });
    EXPECT_THAT(message, HasSubstr("no; at the key " + shown[i]));
  }
}

TEST_F(KeyedBlameTest, ATaskThatIsToldToStopIsBlamedForItselfInline) {
  Pool pool({.workers = 1, .inline_execution = true});
  const auto wait_once = [](int x, auto& emit) {
    while (x == 3 && !this_task::stop_requested()) {
    }
    if (!this_task::stop_requested()) emit(x);
  };
  KeyedOptions options{.skip_failed = true};
  options.call.timeout = std::chrono::milliseconds(100);
  auto counts = pool.map_reduce_by_key<int, int>(test::numbers(0, 30), wait_once, sum, options);
  ASSERT_EQ(counts.skipped().size(), 1U);
  EXPECT_EQ(counts.skipped()[0].task(), 3U);
  EXPECT_EQ(map_of(counts).size(), 29U);
}

}  // namespace
}  // namespace bulkhead
