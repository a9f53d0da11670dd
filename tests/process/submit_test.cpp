// SPDX-License-Identifier: MIT
//
// Back-pressure: calls that are made one by one, no more at a time than may be under way.
#include "tests/support/process.hpp"
#include "tests/support/shared.hpp"
#include <bulkhead/pool.hpp>
#include <bulkhead/this_task.hpp>
#include <bulkhead/wait.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <iterator>
#include <optional>
#include <poll.h>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <thread>
#include <unistd.h>
#include <utility>
#include <vector>

#include <gmock/gmock.h>

namespace bulkhead {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

struct State {
  test::Gated gated;
};
const test::Shared<State> state;

int square(int x) {
  return x * x;
}
int wait_for_gate(int x) {
  return state->gated.wait_for_gate(x);
}
std::size_t size_behind_gate(const std::string& text) {
  wait_for_gate(0);
  return text.size();
}

int crash_twice() {
  if (this_task::attempt() < 3) ::_exit(1);
  return this_task::attempt();
}
int crash_and_tell(int) {
  state->gated.begun.add();
  ::_exit(1);
}
int throw_and_tell(int) {
  state->gated.begun.add();
  throw std::runtime_error("no");
}
void hang() {
  while (true) ::pause();
}

class SubmitTest : public test::ProcessTest {
 protected:
  void SetUp() override {
    ProcessTest::SetUp();
    state.reset();
  }
};

TEST_F(SubmitTest, IsApplyAsyncWhereThereIsRoom) {
  Pool pool(2);
  EXPECT_EQ(pool.submit(square, 7).get(), 49);
  EXPECT_EQ(pool.try_submit(square, 7).value().get(), 49);
  EXPECT_EQ(pool.submit_for(1s, square, 7).value().get(), 49);
  pool.submit([] {}).get();
  EXPECT_EQ(pool.submit(partial([](int a, int b) { return a - b; }, 7), 2).get(), 5);
}

TEST_F(SubmitTest, IsRefusedWithoutRoom) {
  Pool pool(Options{.workers = 1, .max_in_flight = 3});
  std::vector<AsyncResult<int>> results;
  for (int x = 0; x < 3; ++x) results.push_back(pool.try_submit(wait_for_gate, x).value());
  EXPECT_FALSE(pool.try_submit(wait_for_gate, 3));
  EXPECT_FALSE(pool.try_submit(square, 3)) << "another function, the same pool";
  EXPECT_FALSE(pool.submit_for(20ms, square, 3));
  const auto beyond = pool.apply_async(square, 3);  // waits for nothing
  EXPECT_FALSE(pool.try_submit(square, 3));
  state->gated.gate.add();
  for (const auto& result : results) result.wait();
  EXPECT_EQ(beyond.get(), 9);
  EXPECT_EQ(pool.try_submit(square, 3).value().get(), 9);
}

TEST_F(SubmitTest, HasRoomAsSoonAsAResultThatConcernsNobodyElseIsReady) {
  Pool pool(Options{.workers = 1, .max_in_flight = 1});
  for (int x = 0; x < 500; ++x) {
    const auto result = pool.try_submit(square, x);
    ASSERT_TRUE(result) << x;
    result->wait();
  }
}

TEST_F(SubmitTest, WaitsForRoom) {
  Pool pool(Options{.workers = 2, .max_in_flight = 4});
  std::atomic<int> most = 0;
  std::atomic<int> open = 0;
  std::vector<AsyncResult<int>> results;
  for (int x = 0; x < 2000; ++x) {
    results.push_back(pool.submit(square, x));
    const int now = ++open;
    int before = most;
    while (before < now && !most.compare_exchange_weak(before, now)) {
    }
    results.back().on_done([&](const auto&) { --open; });
  }
  for (int x = 0; x < 2000; ++x) EXPECT_EQ(results[static_cast<std::size_t>(x)].get(), x * x);
  EXPECT_TRUE(test::eventually([&] { return open == 0; }));
}

TEST_F(SubmitTest, HasRoomAgainWhenACallIsCancelledOrFails) {
  Pool pool(Options{.workers = 1, .max_in_flight = 1});
  auto running = pool.submit(wait_for_gate, 1);
  running.cancel();
  EXPECT_TRUE(pool.submit_for(test::kPatience, [] { ::_exit(1); }));
  EXPECT_EQ(pool.submit(square, 3).get(), 9);
}

// Retries and time limits are each call's own, though calls of one function share what they can.
TEST_F(SubmitTest, TakesOptions) {
  Pool pool(2);
  const CallOptions thrice{.retries = {.crashes = 2}};
  std::vector<AsyncResult<int>> retried;
  std::vector<AsyncResult<int>> not_retried;
  for (int x = 0; x < 40; ++x) {
    retried.push_back(*pool.try_submit(thrice, crash_twice));
    not_retried.push_back(pool.submit(square, x));
    not_retried.push_back(pool.submit(crash_twice));
  }
  for (int x = 0; x < 40; ++x) {
    EXPECT_EQ(retried[static_cast<std::size_t>(x)].get(), 3);
    EXPECT_EQ(not_retried[static_cast<std::size_t>(2 * x)].get(), x * x);
    EXPECT_THROW((void)not_retried[static_cast<std::size_t>(2 * x + 1)].get(), CrashError);
  }
  const auto hanging = pool.submit_for(test::kPatience, CallOptions{.timeout = 20ms}, hang);
  EXPECT_THROW(hanging->get(), TimeoutError);
  auto with_state = partial([](int a, int b) { return a - b; }, 7);
  EXPECT_EQ(pool.submit({.timeout = test::kPatience}, with_state, 2).get(), 5);
}

TEST_F(SubmitTest, CancelsACallThatWaitsForItsNextAttempt) {
  Pool pool(Options{.workers = 1, .max_in_flight = 1});
  CallOptions options{.retries = {.crashes = 9, .pause = 1min}};
  const auto call = pool.submit(options, crash_and_tell, 0);
  ASSERT_TRUE(state->gated.begun.reaches(1));
  ASSERT_TRUE(test::eventually([&] { return pool.apply_async(square, 1).get() == 1; }));
  call.cancel();
  EXPECT_THROW((void)call.get(), CancelledError);
  const auto next = pool.submit_for(test::kPatience, square, 3);
  ASSERT_TRUE(next) << "it takes room no longer";
  EXPECT_EQ(next->get(), 9);
}

TEST_F(SubmitTest, DoesNotTryACallAgainThatThrewAsItWasCancelled) {
  Pool pool(Options{.workers = 1, .max_in_flight = 1});
  const CallOptions options{.retries = {.exceptions = 9, .pause = 1min}};
  for (std::uint32_t round = 1; round <= 50; ++round) {
    const auto call = pool.submit_for(test::kPatience, options, throw_and_tell, 0);
    ASSERT_TRUE(call) << "the one before takes room yet";
    ASSERT_TRUE(state->gated.begun.reaches(round));
    call->cancel();
    EXPECT_THROW((void)call->get(), RemoteError);
  }
}

TEST_F(SubmitTest, RefusesOptionsThatAreForWholeCalls) {
  for (const bool is_inline : {false, true}) {
    Pool pool(Options{.workers = 1, .inline_execution = is_inline});
    const std::stop_source source;
    EXPECT_THROW((void)pool.submit({.stop = source.get_token()}, square, 1), InvalidArgument);
    EXPECT_THROW((void)pool.try_submit({.progress = [](const auto&) {}}, square, 1),
                 InvalidArgument);
    EXPECT_THROW((void)pool.submit({.retries = {.crashes = -1}}, square, 1), InvalidArgument);
  }
}

TEST_F(SubmitTest, WaitsInSeveralThreads) {
  Pool pool(Options{.workers = 2, .max_in_flight = 3});
  std::atomic<int> sum = 0;
  std::vector<std::jthread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int x = 0; x < 200; ++x) sum += pool.submit(square, 1).get();
    });
  }
  threads.clear();
  EXPECT_EQ(sum, 800);
}

TEST_F(SubmitTest, NeedsNoHelperThread) {
  Pool pool(Options{.workers = 2, .max_in_flight = 2, .helper_thread = false});
  std::vector<AsyncResult<int>> results;
  for (int x = 0; x < 100; ++x) results.push_back(pool.submit(square, x));
  EXPECT_EQ(results.back().get(), 99 * 99);
}

// Row 95: ring-backpressure, for calls that are made one by one.
TEST_F(SubmitTest, BoundsTheBytesOfArguments) {
  Pool pool(1);
  const std::string large(20 << 20, 'x');
  std::vector<AsyncResult<std::size_t>> results;
  while (auto result = pool.try_submit(size_behind_gate, large)) results.push_back(*result);
  EXPECT_EQ(results.size(), 4U) << "64 MiB are full with the fourth";
  state->gated.gate.add();
  for (const auto& result : results) EXPECT_EQ(result.get(), large.size());
}

// Row 95: of a loop that makes calls as it reads results, however slowly it reads. What has been
// answered and is not read is in the caller's hands.
TEST_F(SubmitTest, ALoopThatReadsSlowlyStopsItsOwnInput) {
  Pool pool(Options{.workers = 2, .max_in_flight = 4});
  std::vector<AsyncResult<int>> open;
  int made = 0;
  std::vector<int> seen;
  while (made < 200 || !open.empty()) {
    while (made < 200 && open.size() < 8) {
      auto result =
          open.empty() ? std::optional(pool.submit(square, made)) : pool.try_submit(square, made);
      if (!result) break;
      open.push_back(*result);
      ++made;
    }
    auto [done, pending] = wait(open, WaitFor::first);
    seen.push_back(done.front().get());
    EXPECT_LE(made - static_cast<int>(seen.size()), 8);
    open = std::move(pending);
    open.insert(open.end(), std::next(done.begin()), done.end());
  }
  EXPECT_EQ(seen.size(), 200U);
}

// Or it would turn round and round for want of room.
TEST_F(SubmitTest, ARefusedCallDoesNotWakeTheLoop) {
  Pool pool(Options{.workers = 1, .max_in_flight = 1});
  pollfd handle{pool.native_handle(), POLLIN, 0};
  const auto first = pool.try_submit(wait_for_gate, 1).value();
  while (state->gated.begun.value() == 0 || ::poll(&handle, 1, 20) == 1) pool.poll();
  EXPECT_FALSE(pool.try_submit(wait_for_gate, 2));
  EXPECT_EQ(::poll(&handle, 1, 0), 0);
  state->gated.gate.add();
  while (!first.ready()) {
    EXPECT_EQ(::poll(&handle, 1, 10'000), 1);
    pool.poll();
  }
  EXPECT_TRUE(pool.try_submit(square, 2));
}

/// Counts those that there are in this process.
struct Live {
  static inline std::atomic<int> count = 0;
  Live() { ++count; }
  Live(const Live&) { ++count; }
  Live& operator=(const Live&) = default;
  ~Live() { --count; }
  template <class Archive>
  void serialize(Archive& archive) {
    archive(x);
  }
  int x = 0;
};

TEST_F(SubmitTest, ResultsThatNobodyKeepsAreGoneAsTheyCome) {
  for (const bool helper : {true, false}) {
    Pool pool(Options{.workers = 2, .max_in_flight = 16, .helper_thread = helper});
    for (int x = 0; x < 500; ++x) {
      (void)pool.submit([](int) { return Live(); }, x);
      EXPECT_LE(Live::count, 2 * 16) << "after " << x;
    }
    EXPECT_TRUE(pool.drain(test::kPatience));
    EXPECT_EQ(Live::count, 0);
  }
}

TEST_F(SubmitTest, TakesOneCallHoweverLargeItsArgument) {
  Pool pool(1);
  const std::string large(80 << 20, 'x');
  state->gated.gate.add();
  EXPECT_EQ(pool.submit(size_behind_gate, large).get(), large.size());
}

TEST_F(SubmitTest, EndsWhenAnotherThreadTerminatesThePool) {
  Pool pool(Options{.workers = 1, .max_in_flight = 1});
  const auto running = pool.submit(wait_for_gate, 1);
  std::jthread other([&] {
    (void)state->gated.begun.reaches(1);
    pool.terminate();
  });
  EXPECT_THROW((void)pool.submit(square, 1), PoolClosed);
}

TEST_F(SubmitTest, InACallbackMayWaitForRoom) {
  Pool pool(Options{.workers = 1, .max_in_flight = 1});
  std::atomic<int> value = 0;
  pool.submit(square, 2).on_success([&](int) {
    const auto blocker = pool.apply_async(square, 1);
    value = pool.submit(square, 3).get();
  });
  EXPECT_TRUE(test::eventually([&] { return value == 9; }));
}

TEST_F(SubmitTest, RefusesABoundOfNothing) {
  try {
    Pool pool(Options{.workers = 1, .max_in_flight = 0});
    ADD_FAILURE() << "accepted";
  } catch (const InvalidArgument& error) {
    EXPECT_THAT(error.what(), HasSubstr("Options::max_in_flight is 0"));
  }
}

TEST_F(SubmitTest, WorksInline) {
  Pool pool(Options{.workers = 1, .max_in_flight = 1, .inline_execution = true});
  EXPECT_EQ(pool.submit(square, 3).get(), 9);
  EXPECT_EQ(pool.try_submit(square, 3).value().get(), 9);
  EXPECT_EQ(pool.submit(partial([](int a, int b) { return a - b; }, 7), 2).get(), 5);
}

TEST_F(SubmitTest, LeavesTheArgumentsOfARefusedCallAlone) {
  Pool pool(Options{.workers = 1, .max_in_flight = 1});
  const auto blocker = pool.submit(wait_for_gate, 1);
  std::string text(100, 'x');
  EXPECT_FALSE(pool.try_submit(size_behind_gate, std::move(text)));
  EXPECT_FALSE(pool.submit_for(1ms, size_behind_gate, std::move(text)));
  EXPECT_EQ(text.size(), 100U);
  state->gated.gate.add();
}

// Law of the bound: also of what nobody has been told of yet.
TEST_F(SubmitTest, WaitsForCallbacksThatAreSlow) {
  Pool pool(Options{.workers = 1, .max_in_flight = 4});
  std::atomic<int> told = 0;
  for (int x = 0; x < 40; ++x) {
    pool.submit(square, x).on_done([&](const auto&) {
      test::work_for(2ms);
      ++told;
    });
    EXPECT_LE(x - told, 8);
  }
  EXPECT_TRUE(test::eventually([&] { return told == 40; }));
}

}  // namespace
}  // namespace bulkhead
