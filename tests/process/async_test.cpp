// SPDX-License-Identifier: MIT
//
// Calls that go on by themselves: their results, callbacks, cancellation, and what they leave
// alone.
#include "tests/support/numbers.hpp"
#include "tests/support/process.hpp"
#include "tests/support/shared.hpp"
#include "tests/support/victims.hpp"
#include <bulkhead/broadcast.hpp>
#include <bulkhead/pool.hpp>
#include <bulkhead/this_task.hpp>

#include <atomic>
#include <chrono>
#include <csignal>
#include <exception>
#include <filesystem>
#include <functional>
#include <future>
#include <list>
#include <memory>
#include <numeric>
#include <optional>
#include <poll.h>
#include <ranges>
#include <span>
#include <sstream>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <thread>
#include <tuple>
#include <unistd.h>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <spdlog/logger.h>
#include <spdlog/sinks/ostream_sink.h>

namespace bulkhead {
namespace {

struct Refused {
  int value = 0;
};

}  // namespace

template <>
struct Codec<Refused> {
  static void encode(const Refused& refused, ByteWriter& out) {
    if (refused.value < 0) throw std::invalid_argument("negative");
    out.put(refused.value);
  }
  static Refused decode(ByteReader& in) { return {in.get<int>()}; }
};

namespace {

using namespace std::chrono_literals;
using test::numbers;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

struct State {
  test::Tally begun;
  test::Tally gate;
  test::Tally called;
};
const test::Shared<State> state;

class AsyncTest : public test::ProcessTest {
 protected:
  void SetUp() override {
    ProcessTest::SetUp();
    state.reset();
  }
};

int square(int x) {
  return x * x;
}
int at_gate(int x) {
  state->begun.add();
  EXPECT_TRUE(state->gate.reaches(1));
  return x;
}
int throws_at_3(int x) {
  if (x == 3) throw std::out_of_range("three");
  return x;
}

std::ptrdiff_t number_of_threads() {
  return std::distance(std::filesystem::directory_iterator("/proc/self/task"), {});
}

/// Further pools may be made beside the helper thread: these tests hold no locks.
Options beside_threads() {
  Options options;
  options.workers = 2;
  options.risk_locks_held_by_other_threads = true;
  return options;
}

// ---------------------------------------------------------------------------------------------------
// Results

TEST_F(AsyncTest, ResultsAreThoseOfTheCall) {
  Pool pool(2);
  EXPECT_EQ(pool.map_async(square, numbers(0, 1000)).get(), pool.map(square, numbers(0, 1000)));
  EXPECT_THAT(pool.map_async(square, {1, 2, 3}).get(), ElementsAre(1, 4, 9));
  EXPECT_EQ(pool.apply_async(square, 7).get(), 49);
  EXPECT_EQ(pool.apply_async(CallOptions{.timeout = 10s}, square, 7).get(), 49);
  const std::vector<std::tuple<int, int>> pairs{{1, 2}, {3, 4}};
  const auto add = [](int a, int b) { return a + b; };
  EXPECT_THAT(pool.starmap_async(add, pairs).get(), ElementsAre(3, 7));
  const auto outcomes = pool.try_map_async(throws_at_3, {2, 3, 4}).get();
  EXPECT_TRUE(outcomes.at(0));
  EXPECT_THAT(outcomes.at(1).failure().what(), HasSubstr("three"));
  EXPECT_TRUE(outcomes.at(2));
  pool.apply_async([] { state->called.add(); }).get();
  EXPECT_EQ(state->called.value(), 1U);
  EXPECT_TRUE(pool.map_async(square, std::vector<int>{}).get().empty());
}

TEST_F(AsyncTest, ArgumentsAreKeptAsLongAsTheyAreNeeded) {
  Pool pool(1);
  const auto blocker = pool.apply_async(at_gate, 0);
  AsyncResult<std::vector<int>> of_vector = [&] {
    const std::vector<int> mine{1, 2, 3};
    return pool.map_async(square, mine);
  }();
  AsyncResult<std::vector<std::size_t>> of_list = [&] {
    const std::list<std::string> mine{"a", "bb"};
    return pool.map_async([](const std::string& text) { return text.size(); }, mine);
  }();
#if BULKHEAD_TEST_VIEWS
  AsyncResult<std::vector<int>> of_stream = [&] {
    std::istringstream mine("4 5 6");
    return pool.map_async(square, std::ranges::istream_view<int>(mine));
  }();
#endif
  AsyncResult<int> of_state = [&] {
    const int addend = 5;
    return pool.apply_async(partial([](int a, int b) { return a + b; }, addend), 6);
  }();
  state->gate.add();
  EXPECT_THAT(of_vector.get(), ElementsAre(1, 4, 9));
  EXPECT_THAT(of_list.get(), ElementsAre(1, 2));
#if BULKHEAD_TEST_VIEWS
  EXPECT_THAT(of_stream.get(), ElementsAre(16, 25, 36));
#endif
  EXPECT_EQ(of_state.get(), 11);
}

TEST_F(AsyncTest, CallsOneByOneHaveNoNumbers) {
  Pool pool(2);
  const auto index_and_fail = [](int) {
    throw std::runtime_error("index " + std::to_string(this_task::index()));
  };
  std::vector<AsyncResult<void>> results;
  for (int x = 0; x < 5; ++x) results.push_back(pool.apply_async(index_and_fail, x));
  for (const auto& result : results) {
    try {
      result.get();
      ADD_FAILURE() << "no exception";
    } catch (const RemoteError& error) {
      EXPECT_EQ(error.failure().task(), 0U);
      EXPECT_EQ(error.failure().message(), "index 0");
    }
  }
}

TEST_F(AsyncTest, AFailureIsThrownByEveryGet) {
  Pool pool(2);
  const auto result = pool.map_async(throws_at_3, {1, 2, 3, 4});
  EXPECT_THROW((void)result.get(), std::out_of_range);
  EXPECT_THROW((void)result.get(), RemoteError);
  EXPECT_FALSE(result.successful());
  EXPECT_NE(result.error(), nullptr);
  EXPECT_THROW((void)pool.apply_async(test::kills_itself, 0).get(), CrashError);
  test::expect_usable(pool);
}

TEST_F(AsyncTest, AValueCanBeTakenOnce) {
  Pool pool(1);
  const auto result = pool.apply_async(square, 3);
  const auto same = result;
  EXPECT_EQ(result.get(), 9);
  try {
    (void)same.get();
    ADD_FAILURE() << "it was taken twice";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("taken by an earlier get()"));
  }
  EXPECT_TRUE(same.successful());
}

// Row 54: get-timeout.
TEST_F(AsyncTest, GetWithATimeLimitGivesUpAndTheCallGoesOn) {
  Pool pool(1);
  const auto result = pool.apply_async(at_gate, 5);
  EXPECT_FALSE(result.wait(20ms));
  EXPECT_FALSE(result.ready());
  try {
    (void)result.get(20ms);
    ADD_FAILURE() << "it was there";
  } catch (const NotReady& error) {
    EXPECT_THAT(error.what(), HasSubstr("after 20 ms"));
  }
  EXPECT_THROW((void)result.successful(), NotReady);
  EXPECT_THROW((void)result.get(-1s), NotReady);
  state->gate.add();
  EXPECT_EQ(result.get(std::chrono::nanoseconds::max()), 5);
}

TEST_F(AsyncTest, GoesOnThoughNobodyWaits) {
  Pool pool(2);
  const auto result = pool.map_async(square, numbers(0, 10'000));
  while (!result.ready()) std::this_thread::yield();
  EXPECT_EQ(result.get().back(), 9999 * 9999);
}

TEST_F(AsyncTest, CallsThatWaitAndCallsThatDoNotServeEachOther) {
  Pool pool(2);
  std::vector<AsyncResult<std::vector<int>>> results;
  for (int round = 0; round < 20; ++round) {
    results.push_back(pool.map_async(square, numbers(0, 500)));
    EXPECT_EQ(pool.apply(square, round), round * round);
    EXPECT_THROW((void)pool.apply(test::kills_itself, 0), CrashError);
  }
  for (const auto& result : results) EXPECT_EQ(result.get(), pool.map(square, numbers(0, 500)));
}

// Row 88: ring-wakeup-full.
TEST_F(AsyncTest, ThousandsOfCallsMayBeOnTheirWay) {
  Pool pool(2);
  std::vector<AsyncResult<int>> results;
  for (int i = 0; i < 3000; ++i) results.push_back(pool.apply_async(square, i));
  for (int i = 0; i < 3000; ++i) EXPECT_EQ(results[static_cast<std::size_t>(i)].get(), i * i);
}

TEST_F(AsyncTest, ThreadsMaySubmitWaitAndCancelAtOnce) {
  Pool pool(2);
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 8; ++thread) {
    threads.emplace_back([&pool, thread] {
      for (int i = 0; i < 50; ++i) {
        const auto kept = pool.apply_async(square, i);
        const auto dropped = pool.map_async(square, numbers(0, 200));
        if (i % 3 == 0) dropped.cancel();
        if (thread % 2 == 0) {
          EXPECT_EQ(pool.apply(square, i), i * i);
        }
        EXPECT_EQ(kept.get(), i * i);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  test::expect_usable(pool);
}

// ---------------------------------------------------------------------------------------------------
// Callbacks

// Row 41: exc-callback.
TEST_F(AsyncTest, ExactlyOneOfTwoCallbacksIsCalledOnce) {
  std::atomic<int> good = 0;
  std::atomic<int> bad = 0;
  {
    Pool pool(2);
    for (int x = 0; x < 100; ++x) {
      pool.apply_async(throws_at_3, x % 5)
          .on_success([&good](int& value) { good += value != 3 ? 1 : 100; })
          .on_error([&bad](const std::exception_ptr& error) {
            EXPECT_THROW(std::rethrow_exception(error), std::out_of_range);
            ++bad;
          });
    }
    pool.close();
    pool.join();
  }
  EXPECT_EQ(good, 80);
  EXPECT_EQ(bad, 20);
}

TEST_F(AsyncTest, ACallbackThatComesLateIsCalledToo) {
  Pool pool(1);
  const auto result = pool.apply_async(square, 4);
  result.wait();
  std::promise<int> seen;
  result.on_success([&seen](int& value) { seen.set_value(value); });
  EXPECT_EQ(seen.get_future().get(), 16);
}

// However soon it comes, get() does not take it from under their hands.
TEST_F(AsyncTest, CallbacksSeeTheValueThoughSomebodyGetsIt) {
  const auto make = [](int x) { return std::string(100 + static_cast<std::size_t>(x) % 10, 'x'); };
  for (const bool helper_thread : {true, false}) {
    Pool pool(Options{
        .workers = 2, .helper_thread = helper_thread, .risk_locks_held_by_other_threads = true});
    std::atomic<std::size_t> seen = 0;
    std::size_t got = 0;
    for (int x = 0; x < 500; ++x) {
      const auto result = pool.apply_async(make, x);
      result.on_success([&](const std::string& text) { seen += text.size(); });
      got += x % 2 == 0 ? result.get().size() : result.get(10s).size();
      EXPECT_EQ(seen, got) << "called back before get() returns";
    }
  }
}

TEST_F(AsyncTest, ACallbackMayGetTheValueItself) {
  Pool pool(2);
  std::atomic<int> got = 0;
  pool.apply_async(square, 5).on_done([&](const AsyncResult<int>& done) {
    got += done.get();
    state->called.add();
  });
  pool.apply_async(square, 6).on_done([&](const AsyncResult<int>& done) {
    got += done.get(0s);  // there is nothing to wait for
    state->called.add();
  });
  EXPECT_TRUE(state->called.reaches(2));
  EXPECT_EQ(got, 25 + 36);
}

TEST_F(AsyncTest, AnEventLoopGetsAResultThatIsThereThoughItsCallbackIsYetToCome) {
  Pool pool(2);
  pollfd handle{pool.native_handle(), POLLIN, 0};
  const auto result = pool.apply_async(square, 5);
  while (!result.ready()) {
    EXPECT_EQ(::poll(&handle, 1, 10'000), 1);
    pool.poll();
  }
  result.on_done([](const AsyncResult<int>&) { state->called.add(); });
  EXPECT_EQ(result.get(0s), 25);
  EXPECT_EQ(state->called.value(), 0U);
  while (state->called.value() == 0) pool.poll();
}

// Row 42: callback-throws.
TEST_F(AsyncTest, ACallbackThatThrowsIsLoggedAndHarmsNobody) {
  std::ostringstream text;
  {
    Options options;
    options.workers = 1;
    options.logger = std::make_shared<spdlog::logger>(
        "test", std::make_shared<spdlog::sinks::ostream_sink_mt>(text));
    Pool pool(options);
    const auto result = pool.apply_async(square, 2);
    std::atomic<bool> second = false;
    result.on_success([](int&) { throw std::runtime_error("no good"); });
    result.on_success([](int&) { throw 5; });
    result.on_success([&second](int&) { second = true; });
    EXPECT_EQ(pool.apply_async(square, 3).get(), 9);
    pool.close();
    pool.join();
    EXPECT_TRUE(second);
  }
  EXPECT_THAT(text.str(), HasSubstr("a callback threw: no good"));
  EXPECT_THAT(text.str(), HasSubstr("a callback threw something that is not a std::exception"));
}

// Row 43: callback-submits.
TEST_F(AsyncTest, CallbacksMaySubmit) {
  Pool pool(2);
  std::atomic<int> ended = 0;
  std::function<void(int)> go_on = [&](int left) {
    if (left == 0) {
      ++ended;
    } else {
      pool.apply_async([](int x) { return x - 1; }, left).on_success([&](int& x) { go_on(x); });
    }
  };
  for (int chain = 0; chain < 3; ++chain) go_on(50 + chain);
  while (ended != 3) std::this_thread::yield();
}

// Row 44: callback-blocks.
TEST_F(AsyncTest, CallbacksMayWait) {
  Pool pool(1);
  std::promise<int> seen;
  pool.apply_async(square, 2).on_success([&](int& x) {
    const int fourth = pool.apply_async(square, x).get();
    seen.set_value(pool.apply(square, fourth));
  });
  EXPECT_EQ(seen.get_future().get(), 256);
}

// Row 45: callback-stops-pool.
TEST_F(AsyncTest, CallbacksMayEndThePool) {
  const auto threads = number_of_threads();
  for (const bool destroy : {false, true}) {
    auto pool = std::make_unique<Pool>(beside_threads());
    std::promise<void> over;
    auto other = pool->apply_async(at_gate, 1);
    pool->apply_async(square, 2).on_success([&](int&) {
      if (destroy) {
        pool.reset();
      } else {
        pool->terminate();
      }
      over.set_value();
    });
    over.get_future().get();
    EXPECT_THROW((void)other.get(), CancelledError);
    pool.reset();
    EXPECT_TRUE(test::eventually([&] { return number_of_threads() == threads; }));
  }
}

TEST_F(AsyncTest, ProgressIsToldLikeACallback) {
  Pool pool(2);
  std::atomic<std::uint64_t> done = 0;
  const CallOptions options{.progress = [&done](const Progress& now) { done = now.done; }};
  pool.map_async(square, numbers(0, 1000), options).wait();
  pool.close();
  pool.join();
  EXPECT_EQ(done, 1000U);
}

TEST_F(AsyncTest, AProgressFunctionThatTakesLongHoldsUpNoCallForGood) {
  const CallOptions options{
      .progress = [](const Progress&) { std::this_thread::sleep_for(150ms); }};
  const auto nap = [](int x) {
    test::work_for(20ms);
    return x;
  };
  Pool pool(1);
  EXPECT_EQ(pool.map_async(nap, numbers(0, 20), options).get(), numbers(0, 20));
  EXPECT_EQ(pool.map(nap, numbers(0, 20), options), numbers(0, 20));
}

TEST_F(AsyncTest, AProgressFunctionThatThrowsEndsItsCall) {
  Pool pool(1);
  const CallOptions options{.progress = [](const Progress&) { throw std::domain_error("no"); }};
  const auto result = pool.map_async(at_gate, {1, 2, 3}, options);
  EXPECT_THROW((void)result.get(), std::domain_error);
  EXPECT_EQ(pool.apply(square, 2), 4);
}

// ---------------------------------------------------------------------------------------------------
// Ends

TEST_F(AsyncTest, ACancelledCallEndsItsRunningTasksAndNoOthers) {
  Pool pool(2);
  const auto beside = pool.apply_async(at_gate, 1);
  const auto cancelled = pool.map_async(at_gate, numbers(0, 100));
  EXPECT_TRUE(state->begun.reaches(2));
  cancelled.cancel();
  cancelled.cancel();
  EXPECT_THROW((void)cancelled.get(), CancelledError);
  state->gate.add();
  EXPECT_EQ(beside.get(), 1);
  beside.cancel();
  EXPECT_TRUE(beside.successful());
  EXPECT_LE(state->begun.value(), 3U);
}

TEST_F(AsyncTest, CancelledCallsOfAPoolWhoseZygoteIsGoneEnd) {
  test::in_fork([] {
    Pool pool(Options{.workers = 2, .helper_thread = false});
    const test::Process zygote(test::zygote_of(pool));
    std::vector<AsyncResult<std::vector<int>>> results;
    for (int call = 0; call < 4; ++call) results.push_back(pool.map_async(at_gate, numbers(0, 4)));
    EXPECT_FALSE(results[0].wait(50ms));
    EXPECT_TRUE(state->begun.reaches(2));
    zygote.send(SIGKILL);
    EXPECT_TRUE(zygote.ends_within(test::kPatience));
    for (const auto& result : results) result.cancel();
    for (const auto& result : results) EXPECT_THROW((void)result.get(), std::exception);
  });
}

TEST_F(AsyncTest, ACallThatIsCancelledBeforeItBeganIsOverAtOnce) {
  for (const bool helper_thread : {true, false}) {
    Pool pool(Options{.workers = 1, .helper_thread = helper_thread});
    const auto running = pool.map_async(at_gate, {0});
    EXPECT_FALSE(running.wait(1ms));
    const auto waiting = pool.map_async(square, {1, 2, 3});
    const auto submitted = pool.apply_async(square, 4);
    waiting.cancel();
    submitted.cancel();
    EXPECT_THROW((void)waiting.get(), CancelledError);
    EXPECT_THROW((void)submitted.get(), CancelledError);
    EXPECT_FALSE(running.ready());
  }
}

TEST_F(AsyncTest, ACallThatWaitsAtAWorkerForAnotherIsCancelledAtOnce) {
  Pool pool(1);
  const auto running = pool.apply_async(at_gate, 0);
  EXPECT_TRUE(state->begun.reaches(1));
  const auto waiting = pool.apply_async(square, 4);
  EXPECT_FALSE(waiting.wait(20ms));  // it is given out meanwhile
  waiting.cancel();
  EXPECT_THROW((void)waiting.get(), CancelledError);
  EXPECT_FALSE(running.ready());
  state->gate.add();
  EXPECT_EQ(running.get(), 0);
}

TEST_F(AsyncTest, OneOfManyCallsOfAFunctionCanBeCancelled) {
  Pool pool(1);
  const auto running = pool.apply_async(at_gate, 0);
  EXPECT_TRUE(state->begun.reaches(1));
  std::vector<AsyncResult<int>> waiting;
  for (int i = 1; i <= 100; ++i) waiting.push_back(pool.apply_async(at_gate, i));
  for (std::size_t i = 0; i < 100; i += 2) waiting[i].cancel();
  EXPECT_THROW((void)waiting[98].get(), CancelledError);  // at once, though none has ended
  EXPECT_EQ(state->begun.value(), 1U);
  state->gate.add();
  EXPECT_EQ(running.get(), 0);
  for (std::size_t i = 0; i < 100; ++i) {
    if (i % 2 == 0) {
      EXPECT_THROW((void)waiting[i].get(), CancelledError);
    } else {
      EXPECT_EQ(waiting[i].get(), static_cast<int>(i) + 1);
    }
  }
  EXPECT_LE(state->begun.value(), 51U);
}

TEST_F(AsyncTest, ACancelledCallThatRunsIsEndedAndNoOtherOfItsFunction) {
  Pool pool(2);
  std::vector<AsyncResult<int>> results;
  for (int i = 0; i < 20; ++i) results.push_back(pool.apply_async(at_gate, i));
  EXPECT_TRUE(state->begun.reaches(2));
  results[0].cancel();
  try {
    (void)results[0].get();
    ADD_FAILURE() << "it has ended well";
  } catch (const CancelledError& error) {
    EXPECT_THAT(error.what(), HasSubstr("the call was cancelled; ended by SIGTERM"));
  }
  state->gate.add();
  for (int i = 1; i < 20; ++i) EXPECT_EQ(results[static_cast<std::size_t>(i)].get(), i);
}

TEST_F(AsyncTest, CallsOfManyFunctionsAreOnTheirWayAtOnce) {
  Pool pool(2);
  std::vector<AsyncResult<int>> results;
  std::vector<AsyncResult<std::string>> texts;
  for (int i = 0; i < 300; ++i) {
    results.push_back(pool.apply_async(square, i));
    results.push_back(pool.apply_async([](int x) { return -x; }, i));
    results.push_back(pool.apply_async(partial([](int a, int b) { return a + b; }, 1000), i));
    texts.push_back(pool.apply_async(
        [](const std::string& x, int y) { return x + std::to_string(y); }, "a", i));
  }
  for (int i = 0; i < 300; ++i) {
    const auto at = static_cast<std::size_t>(3 * i);
    EXPECT_EQ(results[at].get(), i * i);
    EXPECT_EQ(results[at + 1].get(), -i);
    EXPECT_EQ(results[at + 2].get(), 1000 + i);
    EXPECT_EQ(texts[static_cast<std::size_t>(i)].get(), "a" + std::to_string(i));
  }
}

TEST_F(AsyncTest, AnArgumentThatCannotBeEncodedFailsItsCallOnly) {
  Pool pool(1);
  const auto throws = [](const Refused& x) { return x.value; };
  const auto good = pool.apply_async(throws, Refused{1});
  const auto bad = pool.apply_async(throws, Refused{-1});
  EXPECT_EQ(good.get(), 1);
  EXPECT_THROW((void)bad.get(), std::invalid_argument);
  test::expect_usable(pool);
}

TEST_F(AsyncTest, ACallWhoseArgumentRefersToABroadcastHoldsIt) {
  Pool pool(1);
  const auto running = pool.apply_async(at_gate, 0);
  const auto sum = pool.apply_async(
      [](const Broadcast<int[]>& all) { return std::accumulate(all.begin(), all.end(), 0); },
      broadcast(numbers(0, 100)));
  state->gate.add();
  EXPECT_EQ(sum.get(), 4950);
  running.wait();
}

TEST_F(AsyncTest, AStopTokenEndsACallThatNobodyWaitsFor) {
  Pool pool(1);
  std::stop_source stop;
  const auto result = pool.map_async(at_gate, {1, 2, 3}, CallOptions{.stop = stop.get_token()});
  EXPECT_TRUE(state->begun.reaches(1));
  stop.request_stop();
  while (!result.ready()) std::this_thread::yield();
  EXPECT_THROW((void)result.get(), CancelledError);
}

// Row 151: handle-outlives.
TEST_F(AsyncTest, AResultOutlivesItsPool) {
  std::optional<AsyncResult<int>> good;
  std::optional<AsyncResult<int>> lost;
  {
    Pool pool(1);
    good = pool.apply_async(square, 3);
    good->wait();
    lost = pool.apply_async(at_gate, 3);
  }
  EXPECT_EQ(good->get(), 9);
  EXPECT_TRUE(lost->ready());
  EXPECT_THROW((void)lost->get(), CancelledError);
  lost->cancel();
  bool called = false;
  lost->on_error([&called](const std::exception_ptr&) { called = true; });
  EXPECT_TRUE(called) << "by this thread, as there is no other";
}

TEST_F(AsyncTest, AThreadThatWaitsIsToldOfThePoolsEnd) {
  auto pool = std::make_unique<Pool>(1);
  const auto result = pool->apply_async(at_gate, 3);
  std::thread waiting([&result] { EXPECT_THROW((void)result.get(), CancelledError); });
  EXPECT_TRUE(state->begun.reaches(1));
  pool.reset();
  waiting.join();
}

TEST_F(AsyncTest, JoinWaitsForCallsAndTheirCallbacks) {
  Pool pool(2);
  std::atomic<int> called = 0;
  for (int i = 0; i < 20; ++i) {
    pool.map_async(square, numbers(0, 100)).on_success([&called](std::vector<int>&) { ++called; });
  }
  pool.close();
  EXPECT_THROW((void)pool.apply_async(square, 1), PoolClosed);
  pool.join();
  EXPECT_EQ(called, 20);
}

TEST_F(AsyncTest, WithoutAHelperWhoWaitsDoesItAll) {
  Options options;
  options.workers = 1;
  options.helper_thread = false;
  const auto threads_before = number_of_threads();
  Pool pool(options);
  int seen = 0;
  const auto first = pool.apply_async(square, 3);
  first.on_success([&seen](int& value) { seen = value; });
  const auto second = pool.apply_async(square, 4);
  EXPECT_EQ(second.get(), 16);
  EXPECT_EQ(first.get(), 9);
  EXPECT_EQ(seen, 9);
  int at_join = 0;
  pool.apply_async(square, 5).on_success([&at_join](int& value) { at_join = value; });
  EXPECT_EQ(number_of_threads(), threads_before);
  pool.close();
  pool.join();
  EXPECT_EQ(at_join, 25);
}

TEST_F(AsyncTest, TheHelperBlocksAllSignals) {
  Pool pool(1);
  std::promise<sigset_t> mask;
  pool.apply_async(square, 1).on_success([&mask](int&) {
    sigset_t blocked;
    ::pthread_sigmask(SIG_SETMASK, nullptr, &blocked);
    mask.set_value(blocked);
  });
  const sigset_t blocked = mask.get_future().get();
  for (const int signal : {SIGINT, SIGTERM, SIGCHLD, SIGALRM, SIGUSR1}) {
    EXPECT_EQ(::sigismember(&blocked, signal), 1) << signal;
  }
}

TEST_F(AsyncTest, InlineCallsHaveEndedWhenTheyReturn) {
  Options options;
  options.inline_execution = true;
  Pool pool(options);
  bool called = false;
  const auto result = pool.map_async(square, {1, 2, 3});
  EXPECT_TRUE(result.ready());
  result.on_success([&called](std::vector<int>& values) { called = values.size() == 3; });
  EXPECT_TRUE(called);
  EXPECT_THAT(result.get(), ElementsAre(1, 4, 9));
  EXPECT_THROW((void)pool.apply_async(throws_at_3, 3).get(), std::out_of_range);
}

}  // namespace
}  // namespace bulkhead
