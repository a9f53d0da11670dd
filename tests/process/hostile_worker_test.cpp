// SPDX-License-Identifier: MIT
//
// Workers whose tasks write random bytes over all that a worker can write, field by field, from the
// task itself or from a thread that goes on while answers are written. What arrives as a value is
// that of its task; the call ends; the pool goes on.
#include "tests/support/numbers.hpp"
#include "tests/support/process.hpp"
#include "tests/support/sanitizer.hpp"
#include "tests/support/victims.hpp"
#include "worker/crash_page.hpp"
#include "worker/memory.hpp"
#include <bulkhead/pool.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <set>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>

namespace bulkhead {
namespace {

using bulkhead::detail::CrashPage;
using bulkhead::detail::OutboxWords;
using ::testing::SizeIs;
using Random = std::minstd_rand;

constexpr std::size_t kRingBytes = 16'384;
constexpr int kTasks = 40;
/// Pairs of calls in each test, if there is time: a worker that seems to sleep costs a second.
constexpr int kRounds = test::kSanitized ? 10 : 100;
constexpr std::chrono::seconds kTime{6};
/// Each test runs in a fork, so that a hang is a failure.
constexpr std::chrono::seconds kLimit{60};
/// Of a task, so that there are several at a worker while a thread does damage.
constexpr std::chrono::microseconds kTaskTime{20};

const test::Shared<test::Tally> damages;

enum class Field : std::uint8_t {
  tail,
  inbox_head,
  started,
  began_at,
  parked,
  crash_page,
  ring,
  everything,
};
constexpr std::array kFieldNames{"Tail",   "InboxHead", "Started", "BeganAt",
                                 "Parked", "CrashPage", "Ring",    "Everything"};

/// What a task is to do before it answers, if anything.
struct Order {
  std::int64_t number = 0;
  std::uint32_t seed = 0;  ///< 0: nothing
  Field field = Field::tail;
  bool by_a_thread = false;
};

// -------------------------------------------------------------------------------------------------
// In the worker

/// Something that is wrong in many ways, or nearly right.
std::uint64_t bad(std::uint64_t right, Random& random) {
  const std::uint64_t any =
      (std::uint64_t{random()} << 40) ^ (std::uint64_t{random()} << 20) ^ random();
  switch (random() % 5) {
    case 0:
      return any;
    case 1:
      return right + 8 * (any % 64) - 256;
    case 2:
      return right + any % 5 - 2;
    case 3:
      return any % 2 - 1;  // 0, or all ones
    default:
      return any % 100'000;
  }
}

void damage_stretch(std::span<std::byte> memory, Random& random) {
  const std::size_t first = random() % memory.size();
  const std::size_t size = std::min<std::size_t>(memory.size() - first, random() % 200);
  for (std::byte& byte : memory.subspan(first, size)) byte = static_cast<std::byte>(random() >> 8U);
}

/// A report that makes sense where it must, and dies of what it says.
void damage_crash_page(std::byte* page, Random& random) {
  auto* report = reinterpret_cast<CrashPage*>(page);
  damage_stretch({page, sizeof(CrashPage)}, random);
  report->magic = bulkhead::detail::kMagic;
  report->signal = SIGSEGV;
  report->state = bulkhead::detail::kComplete;
  report->frame_count = static_cast<std::uint32_t>(random() % 70);
  report->module_count = static_cast<std::uint32_t>(random() % 40);
  if (random() % 2 == 0) return;
  std::signal(SIGSEGV, SIG_DFL);
  std::raise(SIGSEGV);
}

template <class Word>
void damage_word(std::atomic<Word>& word, Random& random) {
  word.store(static_cast<Word>(bad(static_cast<std::uint64_t>(word.load()), random)));
}

void damage(Field field, Random& random) {
  damages->add();
  static const std::span<std::byte> outbox = test::writable_outbox();
  auto& words = *reinterpret_cast<OutboxWords*>(outbox.data());
  std::byte* const page = outbox.data() + bulkhead::detail::kPageBytes;
  switch (field) {
    case Field::tail:
      return damage_word(words.tail, random);
    case Field::inbox_head:
      return damage_word(words.inbox_head, random);
    case Field::started:
      return damage_word(words.started, random);
    case Field::began_at:
      return damage_word(words.began_at, random);
    case Field::parked:
      return damage_word(words.parked, random);
    case Field::crash_page:
      return damage_crash_page(page, random);
    case Field::ring:
      return damage_stretch(outbox.last(kRingBytes), random);
    case Field::everything:
      for (std::byte& byte : outbox) byte = static_cast<std::byte>(random() >> 8U);
  }
}

/// Some damage now and then, for as long as a few hundred tasks may take.
void keep_damaging(Field field, Random random) {
  for (int round = 0; round < 100; ++round) {
    for (auto pause = random() % 2000; pause != 0; --pause) asm volatile("");
    if (random() % 4 == 0) std::this_thread::yield();
    damage(field, random);
  }
}

void obey(const Order& order) {
  test::work_for(kTaskTime);
  if (order.seed == 0) return;
  Random random(order.seed);
  if (order.by_a_thread) {
    std::thread(keep_damaging, order.field, random).detach();
  } else {
    damage(order.field, random);
  }
}

/// A result with a check of its own.
std::int64_t number_of(Order order) {
  obey(order);
  return order.number * 1'000'003;
}

/// Nothing that is damaged at random becomes the text of another number.
std::string text(std::int64_t number) {
  const auto size = static_cast<std::size_t>(
      number % 7 == 3 ? 2 * static_cast<std::int64_t>(kRingBytes) : 20 + number % 90);
  return std::to_string(number) + std::string(size, static_cast<char>('a' + number % 26));
}

/// A result whose bytes have no check; some are larger than the ring.
std::string text_of(Order order) {
  obey(order);
  return text(order.number);
}

// -------------------------------------------------------------------------------------------------
// In the test

/// BULKHEAD_TEST_SEED repeats a failure, as far as time lets it.
std::uint32_t chosen_seed() {
  const char* given = std::getenv("BULKHEAD_TEST_SEED");
  return given != nullptr ? static_cast<std::uint32_t>(std::strtoul(given, nullptr, 10))
                          : std::random_device{}();
}

std::vector<Order> orders(Field field, bool by_a_thread, int round, Random& random) {
  std::vector<Order> orders(kTasks);
  for (int i = 0; i < kTasks; ++i) orders[static_cast<std::size_t>(i)].number = kTasks * round + i;
  for (int hostile = 0; hostile < 2; ++hostile) {
    Order& order = orders[random() % kTasks];
    order.seed = static_cast<std::uint32_t>(random());
    order.field = field;
    order.by_a_thread = by_a_thread;
  }
  return orders;
}

template <class R>
void expect_failures_of_their_tasks(const std::vector<Outcome<R>>& outcomes) {
  ASSERT_THAT(outcomes, SizeIs(kTasks));
  for (std::size_t i = 0; i < outcomes.size(); ++i) {
    EXPECT_TRUE(outcomes[i] || outcomes[i].failure().task() == i) << outcomes[i].failure().what();
  }
}

void expect_right_numbers(Pool& pool, const std::vector<Order>& orders,
                          const CallOptions& options) {
  const auto outcomes = pool.try_map(number_of, orders, options);
  expect_failures_of_their_tasks(outcomes);
  for (std::size_t i = 0; i < outcomes.size(); ++i) {
    const std::int64_t right = orders[i].number * 1'000'003;
    EXPECT_EQ(outcomes[i].value_or(right), right) << i;
  }
}

/// `may_change`: bytes of the ring itself are being damaged, and those of a text with them.
void expect_right_texts(Pool& pool, const std::vector<Order>& orders, const CallOptions& options,
                        bool may_change) {
  const auto outcomes = pool.try_map(text_of, orders, options);
  expect_failures_of_their_tasks(outcomes);
  std::set<std::string> all;
  for (const Order& order : orders) all.insert(text(order.number));
  for (std::size_t i = 0; i < outcomes.size(); ++i) {
    if (!outcomes[i] || *outcomes[i] == text(orders[i].number)) continue;
    EXPECT_TRUE(may_change) << i << ": " << outcomes[i]->substr(0, 100);
    EXPECT_FALSE(all.contains(*outcomes[i])) << i << " has the value of another task";
  }
}

int same(int x) {
  return x;
}

/// Threads that still do damage come to an end, or their workers do.
void expect_to_recover(Pool& pool) {
  EXPECT_TRUE(test::eventually([&] {
    const auto outcomes = pool.try_map(same, test::numbers(0, kTasks));
    return std::ranges::all_of(outcomes, [](const auto& outcome) { return outcome.has_value(); });
  }));
}

void run_hostile_calls(Field field, bool by_a_thread, std::uint32_t seed) {
  Random random(seed);
  Pool pool(Options{.workers = 2, .ring_bytes = kRingBytes});
  const CallOptions options{.timeout = std::chrono::seconds{20}};
  const bool may_change = field == Field::ring || field == Field::everything;
  const auto end = std::chrono::steady_clock::now() + kTime;
  for (int round = 0; round < kRounds && std::chrono::steady_clock::now() < end; ++round) {
    expect_right_numbers(pool, orders(field, by_a_thread, round, random), options);
    expect_right_texts(pool, orders(field, by_a_thread, round, random), options, may_change);
  }
  EXPECT_GT(damages->value(), 0U);
  expect_to_recover(pool);
}

struct Hostility {
  Field field;
  bool by_a_thread;
};

class HostileWorkerTest : public test::ProcessTest,
                          public ::testing::WithParamInterface<Hostility> {};

std::vector<Hostility> hostilities() {
  std::vector<Hostility> all;
  for (std::size_t field = 0; field < kFieldNames.size(); ++field) {
    for (const bool by_a_thread : {false, true})
      all.push_back({static_cast<Field>(field), by_a_thread});
  }
  return all;
}

std::string name_of(const ::testing::TestParamInfo<Hostility>& info) {
  return std::string(kFieldNames.at(static_cast<std::size_t>(info.param.field))) +
         (info.param.by_a_thread ? "ByAThread" : "ByATask");
}

INSTANTIATE_TEST_SUITE_P(Fields, HostileWorkerTest, ::testing::ValuesIn(hostilities()), name_of);

TEST_P(HostileWorkerTest, HarmsNeitherTheValuesOfOthersNorTheCoordinator) {
  const auto [field, by_a_thread] = GetParam();
  if (by_a_thread && test::kThreadSanitizer) GTEST_SKIP() << "the race is the point of it";
  const std::uint32_t seed = chosen_seed();
  std::printf("seed %u\n", seed);
  SCOPED_TRACE("BULKHEAD_TEST_SEED=" + std::to_string(seed));
  const bool threaded = by_a_thread;
  damages.reset();
  test::in_fork([field = field, threaded, seed] { run_hostile_calls(field, threaded, seed); },
                kLimit);
}

}  // namespace
}  // namespace bulkhead
