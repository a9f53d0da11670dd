// SPDX-License-Identifier: MIT
//
// Workers that write nonsense into their outboxes.
#include "tests/support/numbers.hpp"
#include "tests/support/process.hpp"
#include "tests/support/sanitizer.hpp"
#include "tests/support/victims.hpp"
#include "worker/memory.hpp"
#include <bulkhead/pool.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>

namespace bulkhead {
namespace {

using test::only_at;
using ::testing::HasSubstr;
using ::testing::SizeIs;
using DamagedOutboxTest = test::ProcessTest;

struct State {
  test::Tally gate;
  std::array<std::atomic<std::uint8_t>, 1000> runs;
};
const test::Shared<State> state;

int same(int x) {
  return x;
}

/// Each runs in a fork, so that a hang is a failure.
constexpr std::chrono::seconds kLimit{30};

/// Runs tasks of which every 50th does damage; what arrives as a value is the right one.
void expect_damage_is_contained(int (*task)(int)) {
  Pool pool(Options{.workers = 2, .ring_bytes = 16'384});
  for (int round = 0; round < 5; ++round) {
    const int first = 300 * round;
    const auto outcomes = pool.try_map(task, test::numbers(first, first + 300));
    ASSERT_THAT(outcomes, SizeIs(300));
    for (int i = 0; i < 300; ++i) {
      const Outcome<int>& outcome = outcomes[static_cast<std::size_t>(i)];
      EXPECT_EQ(outcome.value_or(first + i), first + i);
      EXPECT_TRUE(outcome || outcome.failure().task() == static_cast<std::uint64_t>(i));
    }
  }
  EXPECT_EQ(pool.apply(same, 8), 8);
}

/// The same, one task at a time, so that there is no doubt which one did the damage.
void expect_damage_costs_its_task_only(int (*task)(int)) {
  Pool pool(Options{.workers = 2, .ring_bytes = 16'384});
  for (int x = 0; x < 200; ++x) {
    const auto outcomes = pool.try_map(task, std::vector{x});
    EXPECT_EQ(outcomes[0].value_or(x), x);
    EXPECT_TRUE(outcomes[0] || x % 50 == 17) << x << ": " << outcomes[0].failure().what();
  }
}

template <int (*Victim)(int)>
int at_every_fiftieth(int x) {
  return x % 50 == 17 ? Victim(x) : x;
}

// Row 93: ring-corrupt.
TEST_F(DamagedOutboxTest, AWorkerThatOverwritesItsOutboxHarmsNeitherTheOthersNorTheCoordinator) {
  constexpr auto kTask = at_every_fiftieth<test::overwrites_its_outbox>;
  test::in_fork([] { expect_damage_costs_its_task_only(kTask); }, kLimit);
  test::in_fork([] { expect_damage_is_contained(kTask); }, kLimit);
}

TEST_F(DamagedOutboxTest, AWorkerThatRandomizesItsOutboxHarmsNeitherTheOthersNorTheCoordinator) {
  constexpr auto kTask = at_every_fiftieth<test::randomizes_its_outbox>;
  test::in_fork([] { expect_damage_costs_its_task_only(kTask); }, kLimit);
  test::in_fork([] { expect_damage_is_contained(kTask); }, kLimit);
}

/// Changes the values that were answered a moment before, and nothing else.
int changes_earlier_values(int x) {
  const std::span<std::byte> outbox = test::writable_outbox();
  constexpr std::size_t kData = bulkhead::detail::kPageBytes + bulkhead::detail::kCrashPageBytes;
  for (std::size_t at = kData; at < outbox.size(); at += 8) {
    int value = 0;
    std::memcpy(&value, outbox.data() + at, sizeof value);
    if (value >= x || value < x - 20) continue;
    value += 1'000'000;
    std::memcpy(outbox.data() + at, &value, sizeof value);
  }
  return x;
}

TEST_F(DamagedOutboxTest, AWorkerThatChangesWhatItHasAnsweredChangesNoValue) {
  constexpr auto kTask = at_every_fiftieth<changes_earlier_values>;
  test::in_fork([] { expect_damage_is_contained(kTask); }, kLimit);
}

/// Overwrites the headers of what was answered and not taken yet, and nothing else.
std::string damages_headers(int x) {
  ++state->runs[static_cast<std::size_t>(x)];
  if (x % 50 == 17) {
    constexpr std::size_t kData = bulkhead::detail::kPageBytes + bulkhead::detail::kCrashPageBytes;
    std::ranges::fill(test::writable_outbox().subspan(kData), std::byte{0xEE});
  }
  return std::to_string(x);
}

TEST_F(DamagedOutboxTest, ATaskWhoseAnswerWasDamagedIsNotRunAgain) {
  state.reset();
  test::in_fork(
      [] {
        Pool pool(Options{.workers = 2, .ring_bytes = 16'384});
        const auto outcomes = pool.try_map(damages_headers, test::numbers(0, 1000));
        for (int x = 0; x < 1000; ++x) {
          const Outcome<std::string>& outcome = outcomes[static_cast<std::size_t>(x)];
          EXPECT_LE(state->runs[static_cast<std::size_t>(x)], 1) << x;
          EXPECT_EQ(outcome.value_or(std::to_string(x)), std::to_string(x));
        }
      },
      kLimit);
}

/// Sets one of the words in the worker's outbox to something that it must not be.
int damages_a_word(int x) {
  constexpr std::array<std::uint64_t, 8> kBad{~0ULL,      0,    1,           8,
                                              1ULL << 63, 4096, 123'456'789, 1ULL << 32};
  const auto code = static_cast<std::size_t>(x);
  auto* words = reinterpret_cast<volatile std::uint64_t*>(test::writable_outbox().data());
  words[code % 4] = kBad[code / 4 % kBad.size()];
  return x;
}

TEST_F(DamagedOutboxTest, ADamagedWordOfTheOutboxCostsItsTaskAtMost) {
  for (int x = 0; x < 32; ++x) {
    test::in_fork(
        [x] {
          Pool pool(Options{.workers = 1, .ring_bytes = 16'384});
          const auto outcomes = pool.try_map(damages_a_word, std::vector{x});
          ASSERT_THAT(outcomes, SizeIs(1));
          EXPECT_EQ(outcomes[0].value_or(x), x);
          EXPECT_EQ(pool.apply(same, x), x);
          EXPECT_THAT(pool.map(same, test::numbers(0, 100)), SizeIs(100));
        },
        kLimit);
    ASSERT_FALSE(HasFailure()) << "damage number " << x;
  }
}

/// Publishes a frame of its own making behind the library's back.
void forge(int x) {
  using namespace bulkhead::detail;
  std::byte* const outbox = test::writable_outbox().data();
  auto& words = *reinterpret_cast<OutboxWords*>(outbox);
  std::byte* const data = outbox + kPageBytes + kCrashPageBytes;
  FrameHeader header;
  header.kind = FrameKind::value;
  header.callable = 1;
  header.length = 4;
  if (x == 0) header.task = 1;                   // the answer of another task
  if (x == 1) header.callable = 77;              // of another call
  if (x == 2) header.kind = FrameKind::task;     // not a worker's to send
  if (x == 3) header.kind = FrameKind::define;   // nor this
  if (x == 4) header.kind = FrameKind::skipped;  // of tasks that were not taken back
  if (x == 5) header.kind = FrameKind::thrown;   // without an exception in it
  if (x == 6) header.length = 1 << 30;           // longer than the ring
  if (x == 7) header.length = ~0U;               // longer still
  if (x == 8) header.length = 3;                 // too short for the value
  if (x == 9) header.kind = FrameKind::padding;  // means nothing
  const std::uint64_t tail = words.tail.load();
  header.check = frame_check(header, tail);
  if (x == 10) header.check ^= 1;                                  // damaged
  if (x == 11) header.check = frame_check(header, tail - 16'384);  // of the lap before
  put_header(data + tail % 16'384, header, header.check);
  words.tail.store(tail + (header.length > 100 ? 128 : frame_bytes(header.length)));
}

int forges_and_returns(int x) {
  forge(x);
  return x;
}

int forges_and_waits(int x) {
  forge(x);
  (void)state->gate.reaches(1, std::chrono::seconds{20});
  return x;
}

TEST_F(DamagedOutboxTest, AForgedAnswerIsTheEndOfItsWorker) {
  state.reset();
  for (const int x : {0, 1, 2, 3, 4, 6, 7, 10, 11}) {
    test::in_fork(
        [x] {
          Pool pool(Options{.workers = 1, .ring_bytes = 16'384});
          const auto start = std::chrono::steady_clock::now();
          const auto outcomes = pool.try_map(forges_and_waits, std::vector{x});
          ASSERT_THAT(outcomes, SizeIs(1));
          ASSERT_FALSE(outcomes[0]) << x;
          EXPECT_EQ(outcomes[0].failure().kind(), FailureKind::crashed);
          EXPECT_THAT(outcomes[0].failure().what(), HasSubstr("the worker was killed"));
          EXPECT_EQ(pool.apply(same, x), x);
          EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds{15});
        },
        kLimit);
    ASSERT_FALSE(HasFailure()) << "forgery number " << x;
  }
}

TEST_F(DamagedOutboxTest, AForgedAnswerBeforeTheRealOneCostsItsTaskAtMost) {
  for (int x = 0; x <= 11; ++x) {
    test::in_fork(
        [x] {
          Pool pool(Options{.workers = 1, .ring_bytes = 16'384});
          EXPECT_THAT(pool.try_map(forges_and_returns, std::vector{x}), SizeIs(1));
          EXPECT_EQ(pool.apply(same, x), x);
          EXPECT_THAT(pool.map(same, test::numbers(0, 100)), SizeIs(100));
        },
        kLimit);
    ASSERT_FALSE(HasFailure()) << "forgery number " << x;
  }
}

int keeps_scribbling(int x) {
  std::thread([x] {
    for (int round = 0;; ++round) test::randomizes_its_outbox(x + round);
  }).detach();
  return x;
}

TEST_F(DamagedOutboxTest, AThreadThatKeepsWritingNonsenseHarmsNoOtherWorker) {
  if (test::kThreadSanitizer) GTEST_SKIP() << "the race is the point of it";
  test::in_fork(
      [] {
        Pool pool(Options{.workers = 2, .ring_bytes = 16'384});
        for (int round = 0; round < 20; ++round) {
          const auto outcomes = pool.try_map(only_at<150, keeps_scribbling>, test::numbers(0, 300));
          EXPECT_THAT(outcomes, SizeIs(300));
        }
      },
      kLimit);
}

int claims_to_have_read_too_much(int x) {
  reinterpret_cast<bulkhead::detail::OutboxWords*>(test::writable_outbox().data())
      ->inbox_head.store(~std::uint64_t{0});
  (void)state->gate.reaches(1, std::chrono::seconds{20});
  return x;
}

// It may never say anything else again, so that nothing would come of waiting for it.
TEST_F(DamagedOutboxTest, AWorkerThatClaimsToHaveReadTooMuchIsEnded) {
  state.reset();
  test::in_fork(
      [] {
        Pool pool(Options{.workers = 1, .ring_bytes = 16'384});
        const auto start = std::chrono::steady_clock::now();
        const auto outcomes = pool.try_map(claims_to_have_read_too_much, test::numbers(0, 3));
        EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds{15});
        ASSERT_THAT(outcomes, SizeIs(3));
        for (const Outcome<int>& outcome : outcomes) EXPECT_FALSE(outcome);
        EXPECT_EQ(pool.apply(same, 8), 8);
      },
      kLimit);
}

// A progress callback makes the coordinator look around often, and not for that reason less well.
TEST_F(DamagedOutboxTest, AWorkerThatDeniesItsSleepIsWokenThoughProgressIsReported) {
  Pool pool(1);
  const auto leave_a_liar = [](int) {
    auto& words = *reinterpret_cast<bulkhead::detail::OutboxWords*>(test::writable_outbox().data());
    std::thread([&words] {
      for (;;) {
        words.parked.store(0);
        std::this_thread::yield();
      }
    }).detach();
  };
  pool.apply(leave_a_liar, 0);
  int reports = 0;
  const CallOptions options{.progress = [&](const Progress&) { ++reports; }};
  for (int round = 0; round < 3; ++round) {
    EXPECT_THAT(pool.map(same, test::numbers(0, 3), options), SizeIs(3));
  }
}

}  // namespace
}  // namespace bulkhead
