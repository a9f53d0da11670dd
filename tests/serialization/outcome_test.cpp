// SPDX-License-Identifier: MIT
#include <bulkhead/outcome.hpp>
#include <bulkhead/remote_error.hpp>

#include <memory>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include <gtest/gtest.h>

namespace bulkhead {
namespace {

static_assert(std::is_same_v<decltype(std::declval<Outcome<int>&>().value()), int&>);
static_assert(std::is_same_v<decltype(std::declval<const Outcome<int>&>().value()), const int&>);
static_assert(std::is_same_v<decltype(std::declval<Outcome<int>>().value()), int>);
static_assert(std::is_void_v<decltype(std::declval<Outcome<void>&>().value())>);
static_assert(std::is_copy_constructible_v<Outcome<std::string>>);
static_assert(!std::is_copy_constructible_v<Outcome<std::unique_ptr<int>>>);

Failure out_of_range_failure() {
  detail::FailureDetails details;
  details.kind = FailureKind::exception;
  details.task = 4;
  details.standard_type = detail::StandardType::out_of_range;
  details.type_name = "std::out_of_range";
  details.message = "no such row";
  return Failure(std::move(details));
}

TEST(Outcome, HoldsAValue) {
  const Outcome<int> outcome = 42;
  EXPECT_TRUE(outcome.has_value());
  EXPECT_TRUE(static_cast<bool>(outcome));
  EXPECT_EQ(outcome.value(), 42);
  EXPECT_EQ(*outcome, 42);
}

TEST(Outcome, HoldsAFailure) {
  const Outcome<int> outcome = out_of_range_failure();
  EXPECT_FALSE(outcome.has_value());
  EXPECT_FALSE(static_cast<bool>(outcome));
  EXPECT_EQ(outcome.failure().kind(), FailureKind::exception);
  EXPECT_EQ(outcome.failure().task(), 4U);
}

TEST(Outcome, ThrowsItsFailureInPlaceOfAValue) {
  Outcome<int> outcome = out_of_range_failure();
  EXPECT_THROW(outcome.value(), std::out_of_range);
  EXPECT_THROW(*outcome, std::out_of_range);
  EXPECT_THROW((void)std::as_const(outcome).value(), RemoteError);
  EXPECT_THROW((void)std::move(outcome).value(), std::out_of_range);
}

TEST(Outcome, ThrowsItsFailureWhenAMemberOfTheValueIsWanted) {
  const Outcome<std::string> outcome = out_of_range_failure();
  EXPECT_THROW((void)outcome->size(), std::out_of_range);
}

TEST(Outcome, GivesNoFailureIfThereIsAValue) {
  const Outcome<int> outcome = 42;
  EXPECT_THROW((void)outcome.failure(), Error);
}

TEST(Outcome, FallsBackOnlyIfItFailed) {
  EXPECT_EQ(Outcome<int>(42).value_or(7), 42);
  EXPECT_EQ(Outcome<int>(out_of_range_failure()).value_or(7), 7);
  EXPECT_EQ(Outcome<std::string>(out_of_range_failure()).value_or("none"), "none");
}

TEST(Outcome, LetsItsValueBeChangedInPlace) {
  Outcome<std::string> outcome = std::string("a");
  outcome.value() += "b";
  *outcome += "c";
  outcome->push_back('d');
  EXPECT_EQ(outcome.value(), "abcd");
}

TEST(Outcome, GivesAMoveOnlyValueAway) {
  Outcome<std::unique_ptr<int>> outcome = std::make_unique<int>(5);
  EXPECT_EQ(*outcome.value(), 5);
  const std::unique_ptr<int> taken = std::move(outcome).value();
  EXPECT_EQ(*taken, 5);
  Outcome<std::unique_ptr<int>> other = std::make_unique<int>(6);
  EXPECT_EQ(**std::move(other), 6);
}

TEST(Outcome, MovesItsValueOutOnlyAsAnRvalue) {
  Outcome<std::vector<int>> outcome = std::vector{1, 2, 3};
  const std::vector<int> copy = outcome.value();
  EXPECT_EQ(copy, outcome.value());
  const std::vector<int> moved = std::move(outcome).value();
  EXPECT_EQ(moved, copy);
}

TEST(Outcome, OfVoidSucceedsWithoutAValue) {
  const Outcome<void> outcome = std::monostate{};
  EXPECT_TRUE(outcome.has_value());
  EXPECT_NO_THROW(outcome.value());
  EXPECT_THROW((void)outcome.failure(), Error);
}

TEST(Outcome, OfVoidThrowsItsFailure) {
  Outcome<void> outcome = out_of_range_failure();
  EXPECT_FALSE(outcome.has_value());
  EXPECT_THROW(outcome.value(), std::out_of_range);
  EXPECT_THROW(std::move(outcome).value(), std::out_of_range);
  EXPECT_EQ(outcome.failure().message(), "no such row");
}

TEST(Outcome, TakesAValueThatHasNoDefault) {
  struct Id {
    explicit Id(int n) : number(n) {}
    int number;
  };
  const Outcome<Id> outcome = Id(9);
  EXPECT_EQ(outcome->number, 9);
}

TEST(Outcome, CopiesItsFailure) {
  const Outcome<std::string> outcome = out_of_range_failure();
  const Outcome<std::string> copy = outcome;  // NOLINT(performance-unnecessary-copy-initialization)
  EXPECT_EQ(copy.failure().what(), outcome.failure().what());
}

}  // namespace
}  // namespace bulkhead
