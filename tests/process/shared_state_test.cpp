// SPDX-License-Identifier: MIT
//
// State that the program and its workers share.
#include "tests/support/numbers.hpp"
#include "tests/support/process.hpp"
#include "tests/support/shared.hpp"
#include "tests/support/start.hpp"
#include <bulkhead/pool.hpp>
#include <bulkhead/shared.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <fstream>
#include <iterator>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>

namespace bulkhead {
namespace {

using namespace std::chrono_literals;
using test::numbers;
using ::testing::Each;
using ::testing::HasSubstr;
using SharedStateTest = test::ProcessTest;

/// Too large for an atomic; all parts are equal, unless somebody has seen it half written.
struct Wide {
  std::array<long, 100> parts{};
  void fill(long value) { parts.fill(value); }
  [[nodiscard]] bool is_whole() const {
    return std::equal(std::next(parts.begin()), parts.end(), parts.begin());
  }
};

int count(const Shared<long>& counter, int x) {
  ++counter;
  return x;
}

TEST_F(SharedStateTest, ACounterCountsTheTasksOfAllWorkers) {
  const Shared<long> counter(5);
  Pool pool(3);
  EXPECT_EQ(pool.map(partial(count, counter), numbers(0, 10'000)).size(), 10'000U);
  EXPECT_EQ(counter.load(), 10'005);
  counter.store(-1);
  EXPECT_EQ(pool.apply([](const Shared<long>& same) { return same.load(); }, counter), -1);
  EXPECT_EQ((*counter).exchange(3), -1);
  EXPECT_EQ(counter.update([](long& value) { value *= 2; }), 6);
}

TEST_F(SharedStateTest, MayBeYoungerThanThePool) {
  Pool pool(2);
  for (int round = 0; round < 50; ++round) {
    const Shared<long> counter(0);
    pool.map(partial(count, counter), numbers(0, 100));
    EXPECT_EQ(counter.load(), 100);
  }
}

TEST_F(SharedStateTest, MayBeGlobalIfItIsOlderThanThePool) {
  BULKHEAD_FORK_ONLY("others inherit nothing of the test's");
  static std::optional<Shared<long>> counter(std::in_place, 0);
  {
    Pool pool(2);
    pool.map([](int) { counter->fetch_add(2); }, numbers(0, 1000));
    EXPECT_EQ(counter->load(), 2000);
  }
  counter.reset();
}

TEST_F(SharedStateTest, AnArrayIsOneForAll) {
  const SharedArray<int> squares(1000);
  EXPECT_THAT(squares.elements(), Each(0));
  Pool pool(2);
  pool.map(
      partial([](const SharedArray<int>& to, int x) { to.store(std::size_t(x), x * x); }, squares),
      numbers(0, 1000));
  for (int x = 0; x < 1000; ++x) EXPECT_EQ(squares.load(std::size_t(x)), x * x);
  EXPECT_EQ(squares.elements()[30], 900);
  EXPECT_EQ(squares[3].fetch_add(1), 9);
  EXPECT_EQ(SharedArray<int>().size(), 0U);
  EXPECT_EQ(SharedArray<int>(0).size(), 0U);
}

TEST_F(SharedStateTest, ALargeValueIsNeverSeenHalfWritten) {
  const Shared<Wide> wide(Wide{});
  Pool pool(3);
  const auto change = [](const Shared<Wide>& shared, int x) {
    const Wide after = shared.update([x](Wide& value) { value.fill(value.parts[0] + x); });
    return after.is_whole() && shared.load().is_whole();
  };
  EXPECT_THAT(pool.map(partial(change, wide), numbers(0, 1000)), Each(true));
  EXPECT_EQ(wide.load().parts[7], 999 * 1000 / 2);
}

TEST_F(SharedStateTest, AWorkerThatDiesWhileItChangesAValueChangesNothing) {
  const SharedArray<Wide> values(2);
  Pool pool(2);
  const auto change = [](const SharedArray<Wide>& shared, int x) {
    shared.update(std::size_t(x % 2), [x](Wide& value) {
      for (long& part : value.parts) {
        ++part;
        if (x % 10 == 7 && &part == &value.parts[50]) ::raise(SIGKILL);
      }
    });
  };
  const auto outcomes = pool.try_map(partial(change, values), numbers(0, 100));
  EXPECT_EQ(std::count_if(outcomes.begin(), outcomes.end(), [](auto& each) { return !each; }), 10);
  EXPECT_TRUE(values.load(0).is_whole());
  EXPECT_TRUE(values.load(1).is_whole());
  EXPECT_EQ(values.load(0).parts[0] + values.load(1).parts[0], 90);
}

// At any moment: also between the copy's completion and the element's.
TEST_F(SharedStateTest, AWorkerThatIsKilledAtAnyTimeLeavesAWholeValue) {
  const Shared<Wide> wide(Wide{});
  Pool pool(2);
  const auto change_for_ever = [](const Shared<Wide>& shared) {
    for (;;) shared.update([](Wide& value) { value.fill(value.parts[0] + 1); });
  };
  for (int round = 0; round < 50; ++round) {
    const auto running = pool.apply_async(change_for_ever, wide);
    const long before = wide.load().parts[0];
    EXPECT_TRUE(test::eventually([&] { return wide.load().parts[0] > before; }));
    running.cancel();
    EXPECT_THROW(running.get(), CancelledError);
    const Wide now = wide.load();
    ASSERT_TRUE(now.is_whole()) << round;
    ASSERT_TRUE(wide.load().is_whole()) << round;
  }
}

TEST_F(SharedStateTest, AFunctionThatThrowsChangesNothing) {
  const Shared<Wide> wide(Wide{});
  const auto fail = [](Wide& value) {
    value.fill(3);
    throw std::runtime_error("no");
  };
  EXPECT_THROW(wide.update(fail), std::runtime_error);
  EXPECT_EQ(wide.load().parts[0], 0);
  const Shared<int> atomic(1);
  EXPECT_THROW(atomic.update([](int& value) {
    value = 2;
    throw std::runtime_error("no");
  }),
               std::runtime_error);
  EXPECT_EQ(atomic.load(), 1);
}

TEST_F(SharedStateTest, AFunctionThatUsesWhatItChangesIsToldSo) {
  const Shared<Wide> wide(Wide{});
  try {
    wide.update([&](Wide&) { static_cast<void>(wide.load()); });
    ADD_FAILURE() << "no error";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("just changing it"));
  }
  EXPECT_TRUE(wide.load().is_whole());
}

TEST_F(SharedStateTest, ThreadsAndWorkersTakeTurns) {
  const Shared<Wide> wide(Wide{});
  Pool pool(2);
  const auto change = [](const Shared<Wide>& shared, int) {
    shared.update([](Wide& value) { value.fill(value.parts[0] + 1); });
  };
  auto tasks = pool.map_async(partial(change, wide), numbers(0, 2000));
  std::vector<std::jthread> threads;
  for (int i = 0; i < 3; ++i) {
    threads.emplace_back([&] {
      for (int x = 0; x < 2000; ++x) change(wide, x);
    });
  }
  threads.clear();
  tasks.get();
  EXPECT_EQ(wide.load().parts[99], 8000);
}

TEST_F(SharedStateTest, MayComeBackAsAResult) {
  const Shared<long> counter(3);
  Pool pool(1);
  const auto same = pool.apply(
      [](const Shared<long>& shared) {
        ++shared;
        return shared;
      },
      counter);
  ++same;
  EXPECT_EQ(counter.load(), 5);
}

TEST_F(SharedStateTest, OfATaskEndsWithIt) {
  Pool pool(1);
  const auto outcomes = pool.try_map([](int x) { return Shared<long>(x); }, {1});
  ASSERT_FALSE(outcomes.at(0));
  EXPECT_THAT(outcomes[0].failure().what(), HasSubstr("it was made in a task"));
  test::expect_usable(pool);
}

TEST_F(SharedStateTest, MayBeUsedByThePoolOfATask) {
  const Shared<long> counter(0);
  Pool pool(1);
  const auto nested = [](const Shared<long>& shared) {
    Pool inner(1);
    inner.map(partial(count, shared), numbers(0, 10));
    const Shared<long> own(0);
    inner.map(partial(count, own), numbers(0, 10));
    return own.load();
  };
  EXPECT_EQ(pool.apply(nested, counter), 10);
  EXPECT_EQ(counter.load(), 10);
}

TEST_F(SharedStateTest, OfATaskThatWaitsIsKeptForIt) {
  Pool pool(1);
  const auto nap = pool.apply_async([] { std::this_thread::sleep_for(100ms); });
  AsyncResult<long> late = [&] {
    const Shared<long> gone(7);
    return pool.apply_async([](const Shared<long>& shared) { return shared.load(); }, gone);
  }();
  EXPECT_EQ(late.get(), 7);
}

TEST_F(SharedStateTest, ThatRefersToNothingSaysSo) {
  const Shared<long> nothing;
  EXPECT_THROW(static_cast<void>(nothing.load()), Error);
  Pool pool(1);
  const auto outcomes =
      pool.try_map([](const Shared<long>& shared) { return shared.load(); }, std::vector{nothing});
  EXPECT_THAT(outcomes.at(0).failure().message(), HasSubstr("refers to nothing"));
}

TEST_F(SharedStateTest, IsDroppedByWorkersThatAreSentOthers) {
  const auto mappings = [] {
    std::ifstream maps("/proc/self/maps");
    std::size_t found = 0;
    for (std::string line; std::getline(maps, line);) {
      found += line.find("memfd:bulkhead") == std::string::npos ? 0 : 1;
    }
    return found;
  };
  Pool pool(1);
  const std::size_t before = pool.apply(mappings);
  for (int i = 0; i < 100; ++i) {
    const SharedArray<int> array(10);
    pool.apply([](const SharedArray<int>& same) { same.store(0, 1); }, array);
  }
  EXPECT_LE(pool.apply(mappings), before + 2);
}

/// A result of a size of its own, made of bytes that a task has taken from elsewhere.
struct Forged {
  std::vector<std::byte> bytes;
};

/// Of another size than the state that it was forged from.
using Other = Shared<Wide>;

}  // namespace

template <>
struct Codec<Forged> {
  static void encode(const Forged& forged, ByteWriter& out) {
    out.write(forged.bytes.data(), forged.bytes.size());
  }
  static Forged decode(ByteReader& in) {
    const Other taken = Codec<Other>::decode(in);  // what the host takes it for
    static_cast<void>(taken.load());
    return {};
  }
};

namespace {

TEST_F(SharedStateTest, ATicketOfAnotherTypeIsRefused) {
  const Shared<char> small('x');
  Pool pool(1);
  const auto forge = [](const Shared<char>& shared) {
    bulkhead::detail::SpillWriter out({});
    Codec<Shared<char>>::encode(shared, out);
    return Forged{out.take()};
  };
  const auto outcomes = pool.try_map(forge, std::vector{small});
  ASSERT_FALSE(outcomes.at(0));
  EXPECT_THAT(outcomes[0].failure().what(), HasSubstr("another type"));
  EXPECT_EQ(small.load(), 'x');
}

// The values are the task's to spoil, but nothing else.
TEST_F(SharedStateTest, ATaskThatWritesOverAllOfItHarmsNobody) {
  Pool pool(1);
  for (const int fill : {0, 0xff, 0x41}) {
    const SharedArray<Wide> values(3);
    const auto scribble = [](const SharedArray<Wide>& shared, int byte) {
      auto* elements = reinterpret_cast<std::byte*>(shared.elements().data());
      const std::size_t before = 4096 + (sizeof(Wide) + 63) / 64 * 64;
      std::fill_n(elements - before, before + shared.elements().size_bytes(), std::byte(byte));
    };
    pool.apply(scribble, values, fill);
    values.store(1, Wide{});
    EXPECT_EQ(values.load(1).parts[5], 0);
    EXPECT_EQ(
        pool.apply([](const SharedArray<Wide>& same) { return same.load(1).parts[7]; }, values), 0);
  }
}

}  // namespace
}  // namespace bulkhead
