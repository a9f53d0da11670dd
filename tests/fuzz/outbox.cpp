// SPDX-License-Identifier: MIT
//
// The whole way of an answer: a Slot with the tasks of two jobs, at a worker that writes whatever
// it likes into its memory while the coordinator goes about its business.
#include "runtime/active_job.hpp"
#include "runtime/post_mortem.hpp"
#include "runtime/slot.hpp"
#include "tests/fuzz/budget.hpp"
#include "tests/fuzz/hostile_worker.hpp"
#include "tests/fuzz/input.hpp"
#include "tests/fuzz/require.hpp"
#include "tests/fuzz/watched_job.hpp"

#include <chrono>
#include <csignal>
#include <cstdint>
#include <memory>
#include <numeric>
#include <optional>
#include <string>
#include <sys/wait.h>
#include <vector>

namespace bulkhead::fuzz {
namespace {

using namespace bulkhead::detail;

constexpr std::size_t kRingBytes = 4096;
constexpr std::uint64_t kTasks = 24;
constexpr int kMostIncarnations = 3;
/// What crosses the ring at most in one input, several times over; and two megabytes for the text
/// of one exception.
constexpr std::size_t kBudget = std::size_t{8} << 20;

std::vector<std::int64_t> numbers() {
  std::vector<std::int64_t> numbers(kTasks);
  std::iota(numbers.begin(), numbers.end(), 0);
  return numbers;
}

/// Some of which do not fit into a ring.
std::vector<std::string> texts() {
  std::vector<std::string> texts;
  for (std::size_t i = 0; i < kTasks; ++i) texts.emplace_back(i % 5 == 3 ? 3 * kRingBytes : i, 't');
  return texts;
}

CallOptions timed() {
  return {.timeout = std::chrono::milliseconds{50}};
}

/// A coordinator of one worker.
class Bench {
 public:
  Bench() { hire(); }

  void step(Input& input) {
    const bool was_alive = slot_.alive();
    if (input.coin()) {
      worker_->step(input, front());
    } else {
      const bool told = act(input);
      require(!was_alive || slot_.state() != Slot::State::doomed || told,
              "who finds that a worker is to be ended says so");
    }
    check();
  }

  /// The worker has ended: everything that was with it has an end.
  void end() {
    bury();
    require(slot_.load() == 0, "the dead have no tasks");
    check();
  }

 private:
  void hire() {
    auto link = std::make_unique<Link>(kRingBytes);
    worker_ = std::make_unique<HostileWorker>(*link, kRingBytes);
    slot_.begin(std::move(link), epoch_++, 0);
    watch_.begin();
    slot_.publish();
  }

  /// One thing that a coordinator does. True if it has heard of something.
  bool act(Input& input) {
    now_ += std::chrono::milliseconds{input.choice(32)};
    switch (input.choice(12)) {
      case 0:
        return feed(input, numbers_);
      case 1:
        return feed(input, texts_);
      case 2:
        return slot_.revoke_waiting(Fences::equal);
      case 3:
        return slot_.revoke_all(Fences::equal);
      case 4:
        return input.choice(16) == 0 && abandon(input.coin() ? numbers_ : texts_);
      case 5:
        return slot_.expire(now_, Fences::equal);
      case 6:
        return slot_.expect_answers(input.coin());
      case 7:
        return look();
      case 8:
        return replace();
      case 9:
        return slot_.pump();
      case 10:
        return tidy();
      default:
        return drain();
    }
  }

  bool drain() {
    const bool drained = slot_.drain(now_);
    if (slot_.alive() && drained) slot_.publish();
    static_cast<void>(slot_.take_ready());
    static_cast<void>(slot_.take_complaint());
    return drained;
  }

  /// What ends with a call, and with a pool.
  bool tidy() {
    for (const ActiveJob* job : {&numbers_, &texts_}) {
      if (job->ledger.done()) slot_.drop(job->callable);
    }
    if (numbers_.ledger.done() && texts_.ledger.done()) slot_.dismiss();
    return drain();
  }

  bool feed(Input& input, ActiveJob& job) {
    if (job.ledger.done()) return false;  // it is dropped then
    const bool fed = slot_.feed(job, 1 + input.choice(kTasks), now_);
    if (fed) slot_.publish();
    return fed;
  }

  bool abandon(ActiveJob& job) {
    job.abandon("the fuzzer gives it up");
    return slot_.abandon(job, now_, Fences::equal);
  }

  /// What the loop asks of a worker between two passes.
  bool look() {
    if (!slot_.alive()) return false;
    Link& link = slot_.link();
    link.aim_bell();
    link.arm_bell();
    static_cast<void>(slot_.has_news());
    static_cast<void>(slot_.has_got_on());
    static_cast<void>(link.is_awake());
    link.disarm_bell();
    link.aim_bell_at_next_step();
    if (slot_.streams()) static_cast<void>(slot_.can_stream());
    if (slot_.has_waiting()) static_cast<void>(slot_.waiting());
    const std::optional<Slot::Time> deadline = slot_.deadline(now_);
    require(!deadline || *deadline <= now_ + std::chrono::hours{1}, "a worker gets no more time");
    return false;
  }

  bool replace() {
    if (epoch_ > kMostIncarnations) return false;
    bury();
    hire();
    return true;
  }

  void bury() {
    const Slot::Corpse corpse = slot_.bury();
    ControlMessage death;
    death.code = CLD_KILLED;
    death.value = SIGSEGV;
    FailureDetails blame = crash_details(death, corpse.link->crash_report());
    for (const Run& run : corpse.begun) {
      for (std::uint64_t i = 0; i < run.tasks.count; ++i) {
        blame.task = run.tasks.first + i;
        run.job->fail(blame);
      }
    }
  }

  [[nodiscard]] HostileWorker::Front front() const {
    HostileWorker::Front front;
    front.settled = watch_.settled();
    front.sent = watch_.sent();
    if (watch_.tasks().empty()) return front;
    front.callable = watch_.tasks().front().callable;
    front.task = watch_.tasks().front().number;
    return front;
  }

  void check() {
    watch_.left(slot_.load());
    check(numbers_, number_tasks_.endings());
    check(texts_, text_tasks_.endings());
  }

  void check(const ActiveJob& job, const Endings& endings) const {
    const Ledger& ledger = job.ledger;
    require(ledger.settled() == endings.count(), "what is settled has ended");
    if (ledger.limit() < ledger.known()) return;  // what came back since then is not wanted
    const std::uint64_t with_worker = watch_.count_of(job.callable);
    require(ledger.settled() + ledger.unsent() + with_worker == ledger.known(),
            "each task is with the worker, has ended or waits");
  }

  const std::vector<std::byte> definition_ = std::vector<std::byte>(16);
  const CallOptions untimed_;
  const CallOptions timed_ = timed();
  Watch watch_;
  WatchedJob<std::int64_t, std::int64_t, false> number_tasks_{watch_, 1, numbers(), false};
  WatchedJob<std::string, std::vector<std::string>, true> text_tasks_{watch_, 2, texts(), true};
  ActiveJob numbers_{number_tasks_, 1, definition_, untimed_};
  ActiveJob texts_{text_tasks_, 2, definition_, timed_};
  Slot slot_;
  std::unique_ptr<HostileWorker> worker_;
  Slot::Time now_ = std::chrono::steady_clock::now();
  std::uint64_t epoch_ = 1;
};

}  // namespace
}  // namespace bulkhead::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace bulkhead::fuzz;
  Input input(data, size);
  const Budget budget(kBudget);
  Bench bench;
  while (!input.empty()) bench.step(input);
  bench.end();
  return 0;
}
