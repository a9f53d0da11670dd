// SPDX-License-Identifier: MIT
//
// Pools without processes, for debugging: what differs from those with workers, and above all what
// does not.
#include "tests/support/numbers.hpp"
#include "tests/support/process.hpp"
#include "tests/support/thrown.hpp"
#include <bulkhead/broadcast.hpp>
#include <bulkhead/fork_map.hpp>
#include <bulkhead/pool.hpp>
#include <bulkhead/this_task.hpp>

#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <numeric>
#include <regex>
#include <stdexcept>
#include <string>
#include <sys/wait.h>
#include <system_error>
#include <thread>
#include <tuple>
#include <unistd.h>
#include <vector>

#include <gmock/gmock.h>

namespace bulkhead {

/// Its codec fails where it is told to.
struct Fragile {
  enum class At : std::uint8_t { nowhere, encoding, decoding, rest };
  At at = At::nowhere;
  int value = 0;
};
template <>
struct Codec<Fragile> {
  static void encode(const Fragile& value, ByteWriter& out) {
    out.put(value.at);
    out.put(value.value);
    if (value.at == Fragile::At::encoding) throw std::length_error("cannot be encoded");
  }
  static Fragile decode(ByteReader& in) {
    Fragile value;
    value.at = in.get<Fragile::At>();
    if (value.at == Fragile::At::decoding) throw std::domain_error("cannot be decoded");
    if (value.at != Fragile::At::rest) value.value = in.get<int>();
    return value;
  }
};

namespace {

using namespace std::chrono_literals;
using test::text_of;
using ::testing::Each;
using ::testing::HasSubstr;

struct State {
  test::Tally begun;
  test::Tally ended;
  test::Tally gate;
};
const test::Shared<State> state;

class InlineTest : public test::ProcessTest {
 protected:
  void SetUp() override {
    ProcessTest::SetUp();
    state.reset();
  }
};

Options inline_options() {
  Options options;
  options.inline_execution = true;
  return options;
}

/// The same text whoever ran the task.
std::string without_runner(const std::string& what) {
  return std::regex_replace(what, std::regex("worker pid [0-9]+|inline"), "RUNNER");
}

/// The same, and the same failures, with workers and inline.
template <class R>
void expect_same(const std::vector<Outcome<R>>& with_workers,
                 const std::vector<Outcome<R>>& inlined) {
  ASSERT_EQ(inlined.size(), with_workers.size());
  for (std::size_t i = 0; i < inlined.size(); ++i) {
    ASSERT_EQ(inlined[i].has_value(), with_workers[i].has_value()) << i;
    if (inlined[i]) {
      EXPECT_EQ(*inlined[i], *with_workers[i]);
      continue;
    }
    const Failure& failure = inlined[i].failure();
    const Failure& expected = with_workers[i].failure();
    EXPECT_EQ(without_runner(failure.what()), without_runner(expected.what()));
    EXPECT_EQ(failure.kind(), expected.kind());
    EXPECT_EQ(failure.task(), expected.task());
    EXPECT_EQ(failure.attempt(), expected.attempt());
    EXPECT_EQ(failure.type_name(), expected.type_name());
    EXPECT_EQ(failure.nested(), expected.nested());
    EXPECT_EQ(failure.earlier().size(), expected.earlier().size());
    EXPECT_EQ(failure.worker_pid(), 0);
  }
}

int twice(int x) {
  return 2 * x;
}

// ---------------------------------------------------------------------------------------------------
// Where tasks run

TEST_F(InlineTest, MakesNoProcessThreadOrSharedMemory) {
  const test::Footprint before = test::Footprint::now();
  Pool pool(inline_options());
  const auto where = [](int) {
    return std::pair(static_cast<int>(::getpid()),
                     std::hash<std::thread::id>()(std::this_thread::get_id()));
  };
  EXPECT_THAT(pool.map(where, test::numbers(0, 100)), Each(where(0)));
  test::expect_unchanged(before);
  EXPECT_EQ(pool.workers(), Pool().workers());
  EXPECT_EQ(Pool(Options{.workers = 7, .inline_execution = true}).workers(), 7);
}

TEST_F(InlineTest, ACrashIsTheCallers) {
  test::Fork fork([] {
    Pool pool(inline_options());
    pool.apply([] { ::raise(SIGKILL); });
  });
  const int status = fork.wait();
  ASSERT_TRUE(WIFSIGNALED(status));
  EXPECT_EQ(WTERMSIG(status), SIGKILL);
}

TEST_F(InlineTest, ThreadsOfTheHostAreNoHindrance) {
  std::thread other([] { EXPECT_TRUE(state->gate.reaches(1)); });
  EXPECT_EQ(Pool(inline_options()).apply(twice, 3), 6);
  state->gate.add();
  other.join();
}

// ---------------------------------------------------------------------------------------------------
// Results

struct Scale {
  double factor = 1;
  double operator()(double x) { return factor++ * x; }
  template <class Archive>
  void serialize(Archive& archive) {
    archive(factor);
  }
};

double area(double width, double height) {
  return width * height;
}

TEST_F(InlineTest, GivesTheResultsOfWorkers) {
  Pool workers(2);
  Pool inlined(inline_options());
  for (Pool* pool : {&workers, &inlined}) {
    EXPECT_EQ(pool->map(twice, {1, 2, 3}), (std::vector{2, 4, 6}));
    EXPECT_EQ(pool->map(twice, std::vector<int>{}), std::vector<int>{});
    EXPECT_EQ(pool->apply([](std::string text, int n) { return text + std::to_string(n); }, "x", 4),
              "x4");
    EXPECT_EQ(pool->starmap(area, std::vector<std::tuple<double, double>>{{2, 3}, {4, 5}}),
              (std::vector{6.0, 20.0}));
    EXPECT_EQ(pool->map(partial(area, 2.0), std::vector{1.5, 2.5}), (std::vector{3.0, 5.0}));
    pool->map([](int) { state->ended.add(); }, test::numbers(0, 10));
    const auto boxes =
        pool->map([](int x) { return std::make_unique<int>(x); }, test::numbers(0, 3));
    EXPECT_EQ(*boxes.at(2), 2);
  }
  EXPECT_EQ(state->ended.value(), 20U);
}

TEST_F(InlineTest, TakesValuesOfAnySize) {
  const std::vector<std::vector<double>> large(3, std::vector<double>(500'000, 1.5));
  Pool pool(inline_options());
  EXPECT_EQ(pool.map([](std::vector<double> x) { return x; }, large), large);
}

TEST_F(InlineTest, ForkMapGivesTheResultsOfWorkers) {
  std::vector<int> seen;
  const auto note = [&seen](int x) {
    seen.push_back(x);
    return 2 * x;
  };
  EXPECT_EQ(fork_map(note, test::numbers(0, 5), inline_options()), (std::vector{0, 2, 4, 6, 8}));
  EXPECT_EQ(seen, test::numbers(0, 5)) << "here, captures are the caller's";
}

// As in a worker, a task has a copy of all that it is given.
TEST_F(InlineTest, ATaskChangesNeitherTheElementNorTheFunctor) {
  Pool pool(inline_options());
  std::vector<std::string> names{"a", "b"};
  const auto grow = [](std::string& name) { return name += "!"; };
  EXPECT_EQ(pool.map(grow, names), (std::vector<std::string>{"a!", "b!"}));
  EXPECT_EQ(names, (std::vector<std::string>{"a", "b"}));
  const Scale scale{3};
  EXPECT_EQ(pool.map(scale, std::vector{1.0, 1.0}), (std::vector{3.0, 4.0}));
  EXPECT_EQ(pool.map(scale, std::vector{1.0, 1.0}), (std::vector{3.0, 4.0}));
}

TEST_F(InlineTest, BroadcastsAreSharedAndReturned) {
  Pool pool(inline_options());
  const auto table = broadcast(test::numbers(0, 1000));
  const auto sum = [](std::span<const int> all, int x) {
    return std::accumulate(all.begin(), all.end(), x);
  };
  EXPECT_EQ(pool.map(partial(sum, table), {0, 1}), (std::vector{499'500, 499'501}));
  const auto make = [](int n) { return broadcast(test::numbers(0, n)); };
  const auto made = pool.map(make, {10, 1000});
  EXPECT_EQ(made.at(0).size(), 10U);
  EXPECT_EQ(made.at(1)[999], 999);
  EXPECT_EQ(Pool(1).apply(sum, made.at(1), 2), 499'502);
}

TEST_F(InlineTest, AnExceptionOfTheRangeComesThroughUnchanged) {
  struct Third {
    struct iterator {
      using difference_type = std::ptrdiff_t;
      using value_type = int;
      int operator*() const {
        if (at == 3) throw std::underflow_error("no third");
        return at;
      }
      iterator& operator++() {
        ++at;
        return *this;
      }
      void operator++(int) { ++at; }
      bool operator==(std::default_sentinel_t) const { return false; }
      int at = 0;
    };
    [[nodiscard]] iterator begin() const { return {}; }
    [[nodiscard]] std::default_sentinel_t end() const { return {}; }
  };
  Pool pool(inline_options());
  EXPECT_THROW((void)pool.map(twice, Third{}), std::underflow_error);
  EXPECT_EQ(pool.apply(twice, 1), 2);
}

// ---------------------------------------------------------------------------------------------------
// Failures

struct OwnError : std::invalid_argument {
  using std::invalid_argument::invalid_argument;
};

int fails_in_many_ways(int x) {
  switch (x) {
    case 1:
      throw std::out_of_range("no such place");
    case 2:
      throw std::system_error(EACCES, std::generic_category(), "vault");
    case 3:
      throw OwnError("of mine");
    case 4:
      throw 17;
    case 5:
      try {
        throw std::range_error("inner");
      } catch (...) {
        std::throw_with_nested(std::runtime_error("outer"));
      }
    case 6:
      throw std::bad_alloc();
    default:
      return x;
  }
}

TEST_F(InlineTest, ExceptionsAreThoseOfWorkersInAllButTheirPid) {
  Pool workers(2);
  Pool inlined(inline_options());
  const auto elements = test::numbers(0, 8);
  expect_same(workers.try_map(fails_in_many_ways, elements),
              inlined.try_map(fails_in_many_ways, elements));
  EXPECT_THROW((void)inlined.map(fails_in_many_ways, {0, 1}), std::out_of_range);
  EXPECT_THROW((void)inlined.map(fails_in_many_ways, {0, 2}), std::system_error);
  EXPECT_THROW((void)inlined.map(fails_in_many_ways, {3}), std::invalid_argument);
  EXPECT_THROW((void)inlined.map(fails_in_many_ways, {3}), RemoteError);
  EXPECT_THAT(text_of<std::out_of_range>([&] {
                (void)inlined.map(fails_in_many_ways, {0, 1});
              }),
              "task 1 threw std::out_of_range: no such place, inline, attempt 1");
}

TEST_F(InlineTest, WhatDoesNotTravelFailsHereToo) {
  using At = Fragile::At;
  std::vector<Fragile> parcels;
  for (const At at : {At::nowhere, At::encoding, At::decoding, At::rest})
    parcels.push_back({at, 1});
  const auto weigh = [](const Fragile& parcel) { return parcel.value; };
  const auto pack = [](int at) { return Fragile{static_cast<At>(at), 1}; };
  const auto kinds = [](auto outcomes) {
    std::vector<std::string> all;
    for (const auto& outcome : outcomes) {
      all.push_back(outcome ? "fine" : without_runner(outcome.failure().what()));
    }
    return all;
  };
  Pool workers(2);
  Pool inlined(inline_options());
  EXPECT_EQ(kinds(inlined.try_map(weigh, parcels)), kinds(workers.try_map(weigh, parcels)));
  EXPECT_EQ(kinds(inlined.try_map(pack, {0, 1, 2, 3})), kinds(workers.try_map(pack, {0, 1, 2, 3})));
  EXPECT_THAT(kinds(inlined.try_map(weigh, parcels)), Each(::testing::Not("")));
  EXPECT_EQ(kinds(inlined.try_map(weigh, parcels)).front(), "fine");
}

struct Unrebuildable {
  int operator()(int x) const { return x; }
  template <class Archive>
  void save(Archive& archive) const {
    archive(1);
  }
  template <class Archive>
  void load(Archive&) {
    throw std::domain_error("never again");
  }
};

TEST_F(InlineTest, AFunctorThatCannotBeRebuiltFailsTheTasks) {
  Pool workers(1);
  Pool inlined(inline_options());
  expect_same(workers.try_map(Unrebuildable{}, {1, 2}), inlined.try_map(Unrebuildable{}, {1, 2}));
}

TEST_F(InlineTest, MapRunsNothingBehindAFailure) {
  Pool pool(inline_options());
  const auto fail_at_three = [](int x) {
    state->begun.add();
    if (x == 3) throw std::out_of_range("three");
    return x;
  };
  EXPECT_THROW((void)pool.map(fail_at_three, test::numbers(0, 100)), std::out_of_range);
  EXPECT_EQ(state->begun.value(), 4U);
}

int succeeds_at_third(int x) {
  state->begun.add();
  if (x == 1 && this_task::attempt() < 3) throw std::out_of_range("not yet");
  return 10 * x + this_task::attempt();
}

TEST_F(InlineTest, RetriesAreThoseOfWorkers) {
  Pool workers(1);
  Pool inlined(inline_options());
  for (const int budget : {1, 2}) {
    const CallOptions options{.retries = {.exceptions = budget, .pause = 10ms}};
    expect_same(workers.try_map(succeeds_at_third, {0, 1, 2}, options),
                inlined.try_map(succeeds_at_third, {0, 1, 2}, options));
  }
  EXPECT_EQ(state->begun.value(), 18U);
  EXPECT_EQ(this_task::attempt(), 0);
}

}  // namespace
}  // namespace bulkhead
