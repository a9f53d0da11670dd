// SPDX-License-Identifier: MIT
//
// The rings: values of every size, and rings that are full.
#include "tests/support/numbers.hpp"
#include "tests/support/process.hpp"
#include <bulkhead/pool.hpp>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <numeric>
#include <span>
#include <stdexcept>
#include <string>
#include <time.h>
#include <unistd.h>
#include <utility>
#include <vector>

#include <gmock/gmock.h>

namespace bulkhead {
namespace {

using ::testing::SizeIs;
using TransportTest = test::ProcessTest;

struct State {
  test::Tally begun;
  test::Tally gate;
  std::atomic<std::uint32_t> taken_in;
};
const test::Shared<State> state;

/// Takes whole words, as sanitizers make single bytes dear.
std::uint64_t checksum(std::span<const std::byte> bytes) {
  std::uint64_t hash = 0xcbf29ce484222325U ^ bytes.size();
  for (std::size_t at = 0; at < bytes.size(); at += sizeof hash) {
    std::uint64_t word = 0;
    std::memcpy(&word, &bytes[at], std::min(sizeof word, bytes.size() - at));
    hash = (hash ^ word) * 0x100000001b3U;
    hash ^= hash >> 29;
  }
  return hash;
}

/// `size` bytes that tell when one is missing, doubled or in another place.
std::vector<std::byte> pattern(std::size_t size, std::uint64_t seed) {
  std::vector<std::byte> bytes(size);
  std::uint64_t word = seed * 2 + 1;
  for (std::size_t at = 0; at < size; at += sizeof word) {
    word = word * 6364136223846793005U + 1442695040888963407U;
    std::memcpy(&bytes[at], &word, std::min(sizeof word, size - at));
  }
  return bytes;
}

using Letter = std::pair<std::uint64_t, std::vector<std::byte>>;

Letter sealed(std::vector<std::byte> bytes) {
  const std::uint64_t sum = checksum(bytes);
  return {sum, std::move(bytes)};
}

/// The same bytes but for the first and the last.
std::vector<std::byte> stamped(std::vector<std::byte> bytes) {
  if (bytes.empty()) return bytes;
  bytes.front() ^= std::byte{0xff};
  bytes.back() ^= std::byte{0x0f};
  return bytes;
}

/// Checks what came, and sends something of the same size back.
Letter answer(const Letter& letter) {
  if (checksum(letter.second) != letter.first) throw std::logic_error("the argument was damaged");
  return sealed(stamped(letter.second));
}

void expect_answers(Pool& pool, const std::vector<Letter>& letters) {
  const std::vector<Letter> answers = pool.map(answer, letters);
  ASSERT_THAT(answers, SizeIs(letters.size()));
  for (std::size_t i = 0; i < letters.size(); ++i) {
    ASSERT_EQ(answers[i].first, checksum(answers[i].second)) << "result " << i << " was damaged";
    ASSERT_TRUE(answers[i].second == stamped(letters[i].second))
        << "result " << i << " belongs to another argument";
  }
}

std::vector<Letter> letters_around(std::size_t size, std::size_t spread) {
  std::vector<Letter> letters;
  for (std::size_t n = size > spread ? size - spread : 0; n <= size + spread; ++n) {
    letters.push_back(sealed(pattern(n, n)));
  }
  return letters;
}

class RingSizeTest : public test::ProcessTest, public ::testing::WithParamInterface<std::size_t> {};

INSTANTIATE_TEST_SUITE_P(RingBytes, RingSizeTest, ::testing::Values(4096, 16'384, 65'536));

// Row 90: ring-edge-sizes. Three laps for each worker, so that headers straddle the wrap.
TEST_P(RingSizeTest, ValuesNearTheCapacityAndTheInlineLimitArriveWhole) {
  const std::size_t ring = GetParam();
  for (const int workers : {1, 2}) {
    Pool pool(Options{.workers = workers, .ring_bytes = ring});
    for (int lap = 0; lap < 3; ++lap) {
      expect_answers(pool, letters_around(0, 100));
      expect_answers(pool, letters_around(ring / 4, 96));
      expect_answers(pool, letters_around(ring / 2, 64));
      expect_answers(pool, letters_around(ring, 96));
      expect_answers(pool, letters_around(2 * ring, 64));
    }
  }
}

// The same for values that are one array, which take a shorter way.
TEST_P(RingSizeTest, PlainArraysNearTheCapacityAndTheInlineLimitArriveWhole) {
  const std::size_t ring = GetParam();
  std::vector<std::vector<std::byte>> arrays;
  for (const std::size_t size : {ring / 4, ring, 3 * ring}) {
    for (std::size_t n = size - 96; n <= size + 96; ++n) arrays.push_back(pattern(n, n));
  }
  Pool pool(Options{.workers = 2, .ring_bytes = ring});
  const auto same_bytes = [](std::vector<std::byte> bytes) { return bytes; };
  for (int lap = 0; lap < 3; ++lap) EXPECT_EQ(pool.map(same_bytes, arrays), arrays);
}

// Small and large values in turn, so that they queue behind each other in both directions.
TEST_P(RingSizeTest, ValuesOfAllSizesInTurnKeepTheirOrder) {
  std::vector<Letter> letters;
  std::uint64_t random = 12345;
  for (int i = 0; i < 500; ++i) {
    random = random * 6364136223846793005U + 1442695040888963407U;
    const std::size_t size = (random >> 33) % (std::size_t{1} << (i % 20));
    letters.push_back(sealed(pattern(size, random)));
  }
  Pool pool(Options{.workers = 3, .ring_bytes = GetParam()});
  expect_answers(pool, letters);
}

// Row 89: ring-big-args.
TEST_F(TransportTest, HundredsOfMegabytesCrossARingOfOne) {
  Pool pool(1);
  const auto same_bytes = [](std::vector<std::uint32_t> words) {
    words.front() += 1;
    return words;
  };
  for (const std::size_t megabytes : {100U, 300U}) {
    std::vector<std::uint32_t> words(megabytes * 1'000'000 / sizeof(std::uint32_t));
    std::iota(words.begin(), words.end(), 0U);
    const std::vector<std::uint32_t> back =
        std::move(pool.map(same_bytes, std::span(&words, 1))[0]);
    ASSERT_EQ(back.size(), words.size());
    EXPECT_EQ(back.front(), 1U);
    EXPECT_TRUE(std::equal(back.begin() + 1, back.end(), words.begin() + 1));
  }
}

// Row 89, with the smallest ring and a value that is no single array.
TEST_F(TransportTest, LargeStructuresCrossTheSmallestRing) {
  Pool pool(Options{.workers = 2, .ring_bytes = 4096});
  std::vector<std::string> words;
  for (int i = 0; i < 200'000; ++i) words.push_back("word " + std::to_string(i));
  const std::vector<std::vector<std::string>> lists(4, words);
  const auto same_words = [](const std::vector<std::string>& list) { return list; };
  EXPECT_EQ(pool.map(same_words, lists), lists);
}

// Row 92: ring-big-crash.
TEST_F(TransportTest, ACrashAmongLargeArgumentsCostsItsTaskOnly) {
  Pool pool(2);
  std::vector<std::vector<std::byte>> arguments(10, std::vector<std::byte>(8'000'000));
  arguments[0][0] = std::byte{1};
  const auto task = [](const std::vector<std::byte>& bytes) {
    if (bytes[0] != std::byte{0}) ::_exit(1);
    return bytes.size();
  };
  const auto outcomes = pool.try_map(task, arguments);
  ASSERT_THAT(outcomes, SizeIs(10));
  EXPECT_EQ(outcomes[0].failure().kind(), FailureKind::crashed);
  for (std::size_t i = 1; i < 10; ++i) EXPECT_EQ(outcomes[i].value_or(0), 8'000'000U);
}

// Row 87, ring-full-kill, is in death_test.cpp.

/// A result that is slow to take in, and counts how many have been.
struct Slow {
  std::vector<std::byte> bytes;
};

}  // namespace

template <>
struct Codec<Slow> {
  static void encode(const Slow& value, ByteWriter& out) {
    Codec<std::vector<std::byte>>::encode(value.bytes, out);
  }
  static Slow decode(ByteReader& in) {
    // By now all workers that can go ahead have done so.
    test::pause_a_moment();
    Slow value{Codec<std::vector<std::byte>>::decode(in)};
    const std::uint32_t ahead = state->begun.value() - state->taken_in.fetch_add(1);
    most_ahead = std::max(most_ahead, ahead);
    return value;
  }
  static inline std::uint32_t most_ahead = 0;
};

namespace {

// Row 95: ring-backpressure. 64 results of 16 kB fit into a ring.
TEST_F(TransportTest, WorkersWaitForASlowCollector) {
  state.reset();
  Pool pool(2);
  const auto task = [](int) {
    state->begun.add();
    return Slow{std::vector<std::byte>(16'384)};
  };
  EXPECT_THAT(pool.map(task, test::numbers(0, 600)), SizeIs(600));
  EXPECT_LE(Codec<Slow>::most_ahead, 2U * (64 + 2));
  EXPECT_GE(Codec<Slow>::most_ahead, 4U) << "the workers have not gone ahead at all";
}

// Row 95: while the coordinator is held in the progress callback, a worker with a full ring sleeps.
TEST_F(TransportTest, AWorkerThatWaitsForRoomBurnsNoTime) {
  state.reset();
  Pool pool(1);
  const pid_t worker = pool.apply(::getpid);
  const auto task = [](int) {
    if (!state->gate.reaches(1)) throw std::logic_error("nobody opened the gate");
    state->begun.add();
    return std::string(20'000'000, 'r');
  };
  const auto cpu_time = [worker] {
    clockid_t clock{};
    timespec time{};
    ::clock_getcpuclockid(worker, &clock);
    ::clock_gettime(clock, &time);
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
  };
  bool held = false;
  const CallOptions options{.progress = [&](const Progress&) {
    if (std::exchange(held, true)) return;
    state->gate.add();
    EXPECT_TRUE(state->begun.reaches(1));
    EXPECT_TRUE(test::eventually([&] {
      const double before = cpu_time();
      for (int i = 0; i < 50; ++i) test::pause_a_moment();
      return cpu_time() - before < 0.005;
    })) << "it spins";
  }};
  EXPECT_EQ(pool.map(task, std::vector{0}, options)[0].size(), 20'000'000U);
}

/// Number 0 is huge and comes in two halves, the second one after the gate is opened; the others
/// are tiny and open the gate once a hundred of them have been taken in.
struct Cargo {
  int number = 0;
};

}  // namespace

template <>
struct Codec<Cargo> {
  static constexpr std::size_t kHalf = 32'000'000;

  static void encode(const Cargo& value, ByteWriter& out) {
    out.put(value.number);
    if (value.number != 0) return;
    const std::string half(kHalf, 'h');
    out.write(half.data(), kHalf);
    if (!state->gate.reaches(1)) throw std::logic_error("the others are starved");
    out.write(half.data(), kHalf);
  }
  static Cargo decode(ByteReader& in) {
    const Cargo value{in.get<int>()};
    if (value.number != 0) {
      if (state->taken_in.fetch_add(1) + 1 == 100) state->gate.add();
    } else {
      std::string bytes(2 * kHalf, ' ');
      in.read(bytes.data(), bytes.size());
    }
    return value;
  }
};

namespace {

// Row 96: ring-fifo-fair.
TEST_F(TransportTest, AHugeResultHoldsUpNoSmallOnes) {
  state.reset();
  Pool pool(4);
  const auto outcomes = pool.try_map([](int x) { return Cargo{x}; }, test::numbers(0, 500));
  ASSERT_THAT(outcomes, SizeIs(500));
  for (int x = 0; x < 500; ++x) {
    const Outcome<Cargo>& outcome = outcomes[static_cast<std::size_t>(x)];
    ASSERT_TRUE(outcome) << outcome.failure().what();
    EXPECT_EQ(outcome->number, x);
  }
}

}  // namespace
}  // namespace bulkhead
