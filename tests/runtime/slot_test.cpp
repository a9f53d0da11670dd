// SPDX-License-Identifier: MIT
//
// A worker as the coordinator sees it. The worker is the test itself, which writes into the outbox
// what a worker would.
#include "runtime/slot.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

namespace bulkhead::detail {
namespace {

constexpr std::size_t kRingBytes = 64 * 1024;
constexpr std::uint64_t kTasks = 5;

/// Tasks without an argument, of whose results nothing is asked.
class EmptyTasks final : public Job {
 public:
  [[nodiscard]] Describe describe() const override { return nullptr; }
  [[nodiscard]] bool stops_at_failure() const override { return false; }
  Supply supply(std::uint64_t) override { return {kTasks, true, false}; }
  Encoded encode(TaskSink& sink, std::uint32_t callable, TaskRange tasks) override {
    Encoded done;
    while (done.accepted < tasks.count && sink.put_empty(callable, tasks.first + done.accepted))
      ++done.accepted;
    return done;
  }
  Settled decode(RingReader& answers, std::uint32_t, TaskRange) override {
    answers.advance();
    return {1, 0, 0};
  }
  void attach(std::uint64_t, std::shared_ptr<const TaskOutput>) override {}
  std::unique_ptr<LargeResult> receive(std::uint64_t) override {
    return std::make_unique<Pieces>(*this);
  }
  void fail(std::uint64_t, Failure) override {}

  int results_in_pieces = 0;

 private:
  struct Pieces final : LargeResult {
    explicit Pieces(EmptyTasks& job) : owner(job) {}
    void add(std::span<const std::byte>) override {}
    Settled finish() override {
      ++owner.results_in_pieces;
      return {1, 0, 0};
    }
    EmptyTasks& owner;
  };
};

class SlotTest : public testing::Test {
 protected:
  SlotTest() {
    auto link = std::make_unique<Link>(kRingBytes);
    outbox_ = std::make_unique<Memory>(link->outbox_fd(), outbox_bytes(kRingBytes),
                                       Memory::Access::read_write);
    words_ = &outbox_words(*outbox_);
    answers_ = std::make_unique<RingWriter>(outbox_data(*outbox_), kRingBytes, &words_->tail,
                                            &outbox_head_);
    slot_.begin(std::move(link), 1, 0);
  }

  void worker_is_given_tasks() {
    slot_.feed(job_, kTasks, now_);
    slot_.publish();
  }

  void worker_is_ready() {
    worker_says(FrameKind::ready, 0, {});
    ASSERT_TRUE(slot_.drain(now_));
    ASSERT_EQ(slot_.state(), Slot::State::ready);
  }

  void worker_begins(std::uint64_t tasks) { words_->started.store(tasks); }

  void worker_says(FrameKind kind, std::uint64_t task, const std::vector<std::uint64_t>& payload,
                   bool more = false) {
    FrameHeader header;
    header.more = more ? 1 : 0;
    header.kind = kind;
    header.callable = job_.callable;
    header.task = task;
    header.length = static_cast<std::uint32_t>(payload.size() * sizeof(std::uint64_t));
    std::byte* to = answers_->reserve(header.length);
    ASSERT_NE(to, nullptr);
    if (!payload.empty()) std::memcpy(to, payload.data(), header.length);
    answers_->finish(header);
    answers_->commit();
  }

  const std::chrono::steady_clock::time_point now_ = std::chrono::steady_clock::now();
  EmptyTasks tasks_;
  std::vector<std::byte> definition_;
  const CallOptions options_;
  ActiveJob job_{tasks_, 1, definition_, options_};
  Slot slot_;
  std::unique_ptr<Memory> outbox_;
  OutboxWords* words_ = nullptr;
  Position outbox_head_{0};
  std::unique_ptr<RingWriter> answers_;
};

class SlotRevocation : public SlotTest {
 protected:
  SlotRevocation() {
    worker_is_ready();
    worker_is_given_tasks();
  }
};

class SlotNews : public SlotRevocation {};
class SlotLeaving : public SlotRevocation {};
class SlotPlace : public SlotRevocation {};
class StartingSlot : public SlotTest {};

TEST_F(SlotRevocation, LeavesTheNextTaskWithAWorkerThatHasNotBegunYet) {
  ASSERT_EQ(slot_.load(), kTasks);
  EXPECT_TRUE(slot_.revoke_waiting(Fences::equal));
  EXPECT_EQ(slot_.load(), 1U);
  EXPECT_EQ(job_.ledger.unsent(), kTasks - 1);
}

TEST_F(SlotRevocation, LeavesTheRunningTask) {
  worker_begins(1);
  EXPECT_TRUE(slot_.revoke_waiting(Fences::equal));
  EXPECT_EQ(slot_.load(), 1U);
}

TEST_F(SlotRevocation, LeavesAllThatHaveBegun) {
  worker_begins(3);
  EXPECT_TRUE(slot_.revoke_waiting(Fences::equal));
  EXPECT_EQ(slot_.load(), 3U);
}

TEST_F(SlotRevocation, TakesNothingFromAWorkerWithOneTask) {
  ASSERT_TRUE(slot_.revoke_waiting(Fences::equal));
  worker_begins(1);
  worker_says(FrameKind::value, 0, {});
  ASSERT_TRUE(slot_.drain(now_));
  worker_says(FrameKind::skipped, 1, {kTasks - 1});
  ASSERT_TRUE(slot_.drain(now_));
  ASSERT_TRUE(slot_.feed(job_, 1, now_));
  EXPECT_FALSE(slot_.revoke_waiting(Fences::equal));
  EXPECT_EQ(slot_.load(), 1U);
}

TEST_F(SlotRevocation, OfAllTasksTakesTheNextOneToo) {
  EXPECT_TRUE(slot_.revoke_all(Fences::equal));
  EXPECT_EQ(slot_.load(), 0U);
  EXPECT_EQ(job_.ledger.unsent(), kTasks);
}

TEST_F(SlotRevocation, OfAllTasksLeavesTheRunningOne) {
  worker_begins(1);
  EXPECT_TRUE(slot_.revoke_all(Fences::equal));
  EXPECT_EQ(slot_.load(), 1U);
}

TEST_F(SlotRevocation, AWorkerThatClaimsToHaveBegunMoreThanItWasSentKeepsWhatItWasSent) {
  worker_begins(1'000'000);
  EXPECT_FALSE(slot_.revoke_all(Fences::equal));
  EXPECT_EQ(slot_.load(), kTasks);
}

TEST_F(SlotRevocation, TheWorkerGetsNewTasksOnlyWhenItHasSkippedTheOldOnes) {
  ASSERT_TRUE(slot_.revoke_waiting(Fences::equal));
  EXPECT_FALSE(slot_.feed(job_, kTasks, now_));
  worker_begins(1);
  worker_says(FrameKind::value, 0, {});
  worker_says(FrameKind::skipped, 1, {kTasks - 1});
  EXPECT_TRUE(slot_.drain(now_));
  EXPECT_TRUE(slot_.feed(job_, kTasks, now_));
  EXPECT_EQ(slot_.load(), kTasks - 1);
}

// Whoever drains kills those that are doomed, but only if it hears of them.
TEST_F(SlotRevocation, AWorkerThatClaimsToHaveReadTooMuchIsDoomedThoughItSaysNothingElse) {
  words_->inbox_head.store(~std::uint64_t{0});
  slot_.publish();
  EXPECT_TRUE(slot_.drain(now_));
  EXPECT_EQ(slot_.state(), Slot::State::doomed);
  EXPECT_TRUE(slot_.take_doom());
}

TEST_F(SlotRevocation, AWorkerThatClaimsToHaveReadTooMuchIsTakenAtItsAnswers) {
  worker_begins(1);
  worker_says(FrameKind::value, 0, {});
  words_->inbox_head.store(~std::uint64_t{0});
  slot_.publish();
  EXPECT_TRUE(slot_.drain(now_));
  EXPECT_EQ(slot_.state(), Slot::State::doomed);
  EXPECT_EQ(job_.ledger.settled(), 1U);
}

// The pieces would become part of the next answer, though that is of another call, and the call
// that they were for may have ended.
TEST_F(SlotRevocation, ATaskWhoseResultHasBegunToComeCannotBeSkipped) {
  worker_begins(1);
  ASSERT_TRUE(slot_.revoke_all(Fences::equal));
  worker_says(FrameKind::value, 0, {1}, true);
  worker_says(FrameKind::skipped, 0, {kTasks});
  ASSERT_TRUE(slot_.drain(now_));
  EXPECT_EQ(slot_.state(), Slot::State::doomed);
  EmptyTasks other_tasks;
  ActiveJob other{other_tasks, job_.callable, definition_, options_};
  slot_.feed(other, 1, now_);
  worker_says(FrameKind::value, 0, {1});
  slot_.drain(now_);
  EXPECT_EQ(tasks_.results_in_pieces, 0);
}

TEST_F(SlotRevocation, AnExceptionIsNotMadeOfThePiecesOfTwo) {
  worker_says(FrameKind::thrown, 0, {1}, true);
  worker_says(FrameKind::value, 0, {});
  ASSERT_TRUE(slot_.drain(now_));
  EXPECT_EQ(slot_.state(), Slot::State::doomed);
}

TEST_F(SlotLeaving, GivesBackWhatCameTooLate) {
  worker_says(FrameKind::leaves, 0, {});
  ASSERT_TRUE(slot_.drain(now_));
  EXPECT_EQ(slot_.state(), Slot::State::ready);
  EXPECT_TRUE(slot_.has_left());
  EXPECT_EQ(slot_.load(), 0U);
  EXPECT_EQ(job_.ledger.unsent(), kTasks);
  EXPECT_FALSE(slot_.feed(job_, kTasks, now_)) << "it is given nothing any more";
  EXPECT_FALSE(slot_.idle());
  EXPECT_FALSE(slot_.spent()) << "it need not be dismissed";
  EXPECT_TRUE(slot_.bury().begun.empty());
  EXPECT_TRUE(slot_.rests());
  EXPECT_FALSE(slot_.lacks_worker());
  slot_.recall();
  EXPECT_TRUE(slot_.lacks_worker());
}

TEST_F(SlotLeaving, ARevocationIsOverThen) {
  ASSERT_TRUE(slot_.revoke_all(Fences::equal));
  worker_says(FrameKind::leaves, 0, {});
  ASSERT_TRUE(slot_.drain(now_));
  EXPECT_TRUE(slot_.has_left());
  EXPECT_EQ(job_.ledger.unsent(), kTasks);
}

TEST_F(SlotLeaving, AWorkerThatHasBegunATaskOrOwesAnAnswerDoesNotLeave) {
  worker_begins(1);
  worker_says(FrameKind::leaves, 0, {});
  ASSERT_TRUE(slot_.drain(now_));
  EXPECT_EQ(slot_.state(), Slot::State::doomed);
  EXPECT_EQ(slot_.load(), kTasks);
}

TEST_F(SlotLeaving, AWorkerThatHasLeftAnswersNothing) {
  worker_says(FrameKind::leaves, 0, {});
  worker_says(FrameKind::value, 0, {});
  ASSERT_TRUE(slot_.drain(now_));
  EXPECT_EQ(slot_.state(), Slot::State::doomed);
  EXPECT_EQ(job_.ledger.settled(), 0U);
}

TEST_F(SlotPlace, ThatIsLostTakesAllBackThatHasNotBegun) {
  worker_begins(1);
  slot_.lose_place(Fences::equal);
  EXPECT_EQ(slot_.load(), 1U);
  EXPECT_FALSE(slot_.spent()) << "a task runs";
  EXPECT_FALSE(slot_.feed(job_, kTasks, now_));
  worker_says(FrameKind::value, 0, {});
  worker_says(FrameKind::skipped, 1, {kTasks - 1});
  ASSERT_TRUE(slot_.drain(now_));
  EXPECT_TRUE(slot_.spent());
  slot_.regain_place();
  EXPECT_FALSE(slot_.spent());
  EXPECT_TRUE(slot_.feed(job_, kTasks, now_));
}

// Who knows how long its initializer takes.
TEST_F(StartingSlot, LosesAllOfItsTasks) {
  worker_is_given_tasks();
  EXPECT_TRUE(slot_.has_waiting());
  EXPECT_TRUE(slot_.revoke_waiting(Fences::equal));
  EXPECT_EQ(slot_.load(), 0U);
  EXPECT_EQ(job_.ledger.unsent(), kTasks);
}

// A worker whose outbox is full waits for room, and does not get on with its tasks before.
TEST_F(SlotNews, AnOutboxThatFillsIsNewsThoughTheWorkerIsAwakeAndItsTasksWait) {
  EXPECT_FALSE(slot_.link().has_news());
  worker_says(FrameKind::value, 0, std::vector<std::uint64_t>(kRingBytes / 5 / 8));
  EXPECT_FALSE(slot_.link().has_news());
  worker_says(FrameKind::value, 0, std::vector<std::uint64_t>(kRingBytes / 5 / 8));
  EXPECT_TRUE(slot_.link().has_news());
}

TEST_F(SlotNews, AnswersOfAWorkerThatSleepsAreNews) {
  worker_says(FrameKind::value, 0, {});
  EXPECT_FALSE(slot_.link().has_news());
  words_->parked.store(1);
  EXPECT_TRUE(slot_.link().has_news());
}

TEST_F(SlotNews, RoomForTheRestOfAMessageIsNews) {
  const std::vector<std::byte> state(2 * kRingBytes);
  ActiveJob other{tasks_, 2, state, options_};
  slot_.feed(other, 1, now_);
  slot_.publish();
  EXPECT_FALSE(slot_.has_news());
  words_->inbox_head.store(slot_.link().tasks().written());
  slot_.link().aim_bell();
  EXPECT_TRUE(slot_.has_news());
}

TEST_F(SlotNews, AWorkerThatGetsDoneBetweenTwoLooksIsNews) {
  worker_says(FrameKind::value, 0, {});
  words_->inbox_head.store(slot_.link().tasks().written());
  slot_.link().aim_bell();
  EXPECT_TRUE(slot_.link().has_news());
}

TEST_F(SlotNews, AWorkerThatHasGotDoneIsNoNewsForEver) {
  for (std::uint64_t task = 0; task < kTasks; ++task) worker_says(FrameKind::value, task, {});
  words_->inbox_head.store(slot_.link().tasks().written());
  ASSERT_TRUE(slot_.drain(now_));
  slot_.publish();
  EXPECT_FALSE(slot_.link().has_news());
}

}  // namespace
}  // namespace bulkhead::detail
