// SPDX-License-Identifier: MIT
#include <bulkhead/detail/gather.hpp>
#include <bulkhead/error.hpp>
#include <bulkhead/remote_error.hpp>

#include <memory>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

namespace bulkhead::detail {
namespace {

static_assert(std::is_same_v<Values<int>::Result, std::vector<int>>);
static_assert(std::is_void_v<Values<void>::Result>);
static_assert(std::is_same_v<Outcomes<void>::Result, std::vector<Outcome<void>>>);
static_assert(Values<int>::kStopsAtFailure && !Outcomes<int>::kStopsAtFailure);

Failure failure_of(std::uint64_t task, StandardType type = StandardType::out_of_range) {
  FailureDetails details;
  details.kind = FailureKind::exception;
  details.standard_type = type;
  details.task = task;
  details.message = "failure " + std::to_string(task);
  return Failure(std::move(details));
}

FailureDetails reason(FailureKind kind) {
  FailureDetails details;
  details.kind = kind;
  details.message = "the reason";
  return details;
}

/// Has neither a default nor a copy.
class Ticket {
 public:
  explicit Ticket(int number) : number_(std::make_unique<int>(number)) {}
  [[nodiscard]] int number() const { return *number_; }

 private:
  std::unique_ptr<int> number_;
};

/// A plain struct without a default.
struct Id {
  explicit Id(int n) : number(n) {}
  int number;
};

// -------------------------------------------------------------------------------------------------
// Values

template <class R>
std::vector<R> values_placed_as(std::vector<std::pair<std::uint64_t, R>> placed, bool counted) {
  Values<R> values;
  const std::uint64_t count = placed.size();
  if (counted) values.expect(count);
  for (auto& [index, value] : placed) values.place(index, std::move(value));
  return values.take(count, nullptr);
}

TEST(Values, AreInTheOrderOfTheElementsHoweverTheyCame) {
  for (const bool counted : {true, false}) {
    EXPECT_EQ(values_placed_as<int>({{2, 20}, {0, 0}, {1, 10}}, counted),
              (std::vector<int>{0, 10, 20}));
    EXPECT_EQ(values_placed_as<std::string>({{1, "b"}, {0, "a"}}, counted),
              (std::vector<std::string>{"a", "b"}));
    EXPECT_EQ(values_placed_as<bool>({{1, true}, {2, false}, {0, true}}, counted),
              (std::vector<bool>{true, true, false}));
  }
}

TEST(Values, OfNothingAreEmpty) {
  EXPECT_TRUE(values_placed_as<int>({}, true).empty());
  EXPECT_TRUE(values_placed_as<std::string>({}, false).empty());
}

TEST(Values, NeedNeitherADefaultNorACopy) {
  Values<Ticket> values;
  values.place(1, Ticket(11));
  values.place(0, Ticket(10));
  const std::vector<Ticket> tickets = values.take(2, nullptr);
  ASSERT_EQ(tickets.size(), 2U);
  EXPECT_EQ(tickets[0].number(), 10);
  EXPECT_EQ(tickets[1].number(), 11);

  Values<Id> ids;
  ids.expect(1);
  ids.place(0, Id(5));
  EXPECT_EQ(ids.take(1, nullptr).at(0).number, 5);
}

TEST(Values, OfVoidAreNothingButTheAbsenceOfAFailure) {
  Values<void> values;
  values.expect(2);
  values.place(1, {});
  values.place(0, {});
  EXPECT_NO_THROW(values.take(2, nullptr));
  values.fail(1, failure_of(1));
  EXPECT_THROW(values.take(2, nullptr), std::out_of_range);
}

template <class Gather>
std::uint64_t task_of_failure(Gather& gather) {
  try {
    (void)gather.take(10, nullptr);
  } catch (const RemoteError& error) {
    return error.failure().task();
  }
  return 999;
}

TEST(Values, ThrowTheFailureOfTheLowestIndexWhicheverCameFirst) {
  Values<int> values;
  values.fail(7, failure_of(7));
  values.fail(3, failure_of(3));
  values.fail(5, failure_of(5));
  EXPECT_EQ(task_of_failure(values), 3U);
}

TEST(Values, ThrowAFailureAsTheTypeThatTheTaskThrew) {
  Values<int> values;
  values.fail(1, failure_of(1, StandardType::domain_error));
  EXPECT_THROW((void)values.take(10, nullptr), std::domain_error);
}

TEST(Values, SayThatThePoolBroke) {
  Values<int> values;
  values.place(0, 1);
  const FailureDetails broken = reason(FailureKind::not_run);
  try {
    (void)values.take(1, &broken);
    FAIL() << "nothing was thrown";
  } catch (const BrokenPool& error) {
    EXPECT_STREQ(error.what(), "the reason");
  }
}

TEST(Values, SayThatTheCallWasCancelled) {
  Values<std::string> values;
  const FailureDetails cancelled = reason(FailureKind::cancelled);
  EXPECT_THROW((void)values.take(1, &cancelled), CancelledError);
}

// -------------------------------------------------------------------------------------------------
// Outcomes

TEST(Outcomes, HaveOneForEveryElementInOrder) {
  Outcomes<std::string> outcomes;
  outcomes.expect(3);
  outcomes.place(2, "c");
  outcomes.fail(1, failure_of(1));
  outcomes.place(0, "a");
  const auto result = outcomes.take(3, nullptr);
  ASSERT_EQ(result.size(), 3U);
  EXPECT_EQ(result[0].value(), "a");
  EXPECT_EQ(result[1].failure().task(), 1U);
  EXPECT_EQ(result[2].value(), "c");
}

TEST(Outcomes, GrowIfTheNumberOfElementsIsNotKnown) {
  Outcomes<int> outcomes;
  outcomes.place(5, 50);
  for (std::uint64_t i = 0; i < 5; ++i) outcomes.place(i, static_cast<int>(10 * i));
  const auto result = outcomes.take(6, nullptr);
  ASSERT_EQ(result.size(), 6U);
  for (std::size_t i = 0; i < 6; ++i) EXPECT_EQ(result[i].value(), static_cast<int>(10 * i));
}

TEST(Outcomes, NeedNeitherADefaultNorACopyOfTheValue) {
  Outcomes<Ticket> outcomes;
  outcomes.place(0, Ticket(10));
  EXPECT_EQ(outcomes.take(1, nullptr).at(0)->number(), 10);
}

TEST(Outcomes, OfVoidTellSuccessFromFailure) {
  Outcomes<void> outcomes;
  outcomes.place(0, {});
  outcomes.fail(1, failure_of(1));
  const auto result = outcomes.take(2, nullptr);
  EXPECT_TRUE(result.at(0).has_value());
  EXPECT_FALSE(result.at(1).has_value());
}

TEST(Outcomes, TellForEachElementThatHasNoneWhyTheCallWasGivenUp) {
  Outcomes<int> outcomes;
  outcomes.place(1, 10);
  const FailureDetails cancelled = reason(FailureKind::cancelled);
  const auto result = outcomes.take(3, &cancelled);
  ASSERT_EQ(result.size(), 3U);
  EXPECT_EQ(result[0].failure().kind(), FailureKind::cancelled);
  EXPECT_EQ(result[0].failure().what(), "task 0 was cancelled: the reason");
  EXPECT_EQ(result[1].value(), 10);
  EXPECT_EQ(result[2].failure().task(), 2U);
}

TEST(Outcomes, ThrowIfThePoolBrokeBeforeAnyTaskHadEnded) {
  Outcomes<int> outcomes;
  outcomes.expect(3);
  const FailureDetails broken = reason(FailureKind::not_run);
  EXPECT_THROW((void)outcomes.take(3, &broken), BrokenPool);
}

TEST(Outcomes, KeepWhatThereIsIfThePoolBrokeLater) {
  const FailureDetails broken = reason(FailureKind::not_run);
  Outcomes<int> one_value;
  one_value.place(1, 10);
  const auto values = one_value.take(2, &broken);
  EXPECT_EQ(values.at(0).failure().kind(), FailureKind::not_run);
  EXPECT_EQ(values.at(1).value(), 10);

  Outcomes<int> one_failure;
  one_failure.fail(0, failure_of(0));
  EXPECT_EQ(one_failure.take(2, &broken).at(0).failure().kind(), FailureKind::exception);
}

TEST(Outcomes, SayNotRunIfNobodyKnowsWhy) {
  Outcomes<int> outcomes;
  EXPECT_EQ(outcomes.take(1, nullptr).at(0).failure().what(), "task 0 was not run");
}

TEST(Outcomes, CoverTheElementsThatWereDrawnAndNoOthers) {
  Outcomes<int> outcomes;
  outcomes.expect(5);
  outcomes.place(0, 1);
  const FailureDetails cancelled = reason(FailureKind::cancelled);
  EXPECT_EQ(outcomes.take(2, &cancelled).size(), 2U);
}

}  // namespace
}  // namespace bulkhead::detail
