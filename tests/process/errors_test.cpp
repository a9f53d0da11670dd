// SPDX-License-Identifier: MIT
//
// What a task throws, and how its caller learns of it.
#include "tests/support/numbers.hpp"
#include "tests/support/process.hpp"
#include <bulkhead/pool.hpp>

#include <any>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <new>
#include <optional>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <typeinfo>
#include <unistd.h>
#include <variant>
#include <vector>

#include <gmock/gmock.h>

namespace bulkhead {
namespace {

using test::workers_of;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::testing::StartsWith;
using ErrorTest = test::ProcessTest;

struct State {
  test::Tally begun;
  test::Tally gate;
};
const test::Shared<State> state;

/// What `call` throws, as an E. The test fails if that is something else.
template <class E, class Call>
void expect_throws(Call call, const std::function<void(const E&)>& look) {
  try {
    call();
    ADD_FAILURE() << "nothing was thrown";
  } catch (const E& error) {
    look(error);
  } catch (...) {
    ADD_FAILURE() << "another type was thrown";
  }
}

int fail_at_four(int x) {
  if (x == 4) throw std::out_of_range("no such place");
  return x;
}

// Row 30: exc-type.
TEST_F(ErrorTest, AnExceptionArrivesAsItsStandardTypeWithItsOrigin) {
  Pool pool(2);
  const std::set<int> workers = workers_of(pool);
  const auto call = [&] { pool.map(fail_at_four, test::numbers(0, 10)); };
  expect_throws<std::out_of_range>(call, [](const std::out_of_range& error) {
    EXPECT_THAT(error.what(), HasSubstr("no such place"));
  });
  expect_throws<RemoteError>(call, [&](const RemoteError& error) {
    const Failure& failure = error.failure();
    EXPECT_EQ(failure.kind(), FailureKind::exception);
    EXPECT_EQ(failure.task(), 4U);
    EXPECT_EQ(failure.attempt(), 1);
    EXPECT_EQ(failure.message(), "no such place");
    EXPECT_EQ(failure.type_name(), "std::out_of_range");
    EXPECT_TRUE(workers.contains(failure.worker_pid())) << failure.worker_pid();
    EXPECT_STREQ(error.what(), failure.what().c_str());
    EXPECT_THAT(failure.what(), HasSubstr("task 4"));
    EXPECT_THAT(failure.what(), HasSubstr("std::out_of_range: no such place"));
    EXPECT_THAT(failure.what(), HasSubstr(std::to_string(failure.worker_pid())));
  });
}

using Thrower = void (*)(int);

template <class E>
void expect_arrives_as(Pool& pool, Thrower thrower) {
  expect_throws<E>([&] { pool.apply(thrower, 0); },
                   [](const E& error) {
                     const auto* remote = dynamic_cast<const RemoteError*>(&error);
                     ASSERT_NE(remote, nullptr) << typeid(E).name();
                     EXPECT_EQ(remote->failure().kind(), FailureKind::exception);
                   });
}

TEST_F(ErrorTest, EachStandardExceptionKeepsItsType) {
  Pool pool(1);
  expect_arrives_as<std::logic_error>(pool, [](int) { throw std::logic_error("x"); });
  expect_arrives_as<std::invalid_argument>(pool, [](int) { throw std::invalid_argument("x"); });
  expect_arrives_as<std::domain_error>(pool, [](int) { throw std::domain_error("x"); });
  expect_arrives_as<std::length_error>(pool, [](int) { throw std::length_error("x"); });
  expect_arrives_as<std::out_of_range>(pool, [](int) { (void)std::string().at(5); });
  expect_arrives_as<std::runtime_error>(pool, [](int) { throw std::runtime_error("x"); });
  expect_arrives_as<std::range_error>(pool, [](int) { throw std::range_error("x"); });
  expect_arrives_as<std::overflow_error>(pool, [](int) { throw std::overflow_error("x"); });
  expect_arrives_as<std::underflow_error>(pool, [](int) { throw std::underflow_error("x"); });
  expect_arrives_as<std::bad_alloc>(pool, [](int) { throw std::bad_alloc(); });
  expect_arrives_as<std::bad_cast>(pool, [](int) { (void)std::any_cast<int>(std::any("x")); });
  expect_arrives_as<std::bad_typeid>(pool, [](int) { throw std::bad_typeid(); });
  expect_arrives_as<std::bad_function_call>(pool, [](int) { std::function<void()>()(); });
  expect_arrives_as<std::bad_optional_access>(pool,
                                              [](int) { (void)std::optional<int>().value(); });
  expect_arrives_as<std::bad_variant_access>(
      pool, [](int) { (void)std::get<1>(std::variant<int, char>(1)); });
  expect_arrives_as<std::bad_weak_ptr>(pool,
                                       [](int) { std::shared_ptr<int>(std::weak_ptr<int>()); });
  expect_arrives_as<std::exception>(pool, [](int) { throw std::exception(); });
}

TEST_F(ErrorTest, ASystemErrorKeepsItsCode) {
  Pool pool(1);
  const auto deny = [] { throw std::system_error(EACCES, std::generic_category(), "vault"); };
  expect_throws<std::system_error>([&] { pool.apply(deny); },
                                   [](const std::system_error& error) {
                                     EXPECT_EQ(error.code(), std::errc::permission_denied);
                                     EXPECT_THAT(error.what(), HasSubstr("vault"));
                                   });
}

/// Nothing of it but its text could be sent.
struct Ours : std::overflow_error {
  using std::overflow_error::overflow_error;
  std::shared_ptr<std::mutex> lock = std::make_shared<std::mutex>();
};

// Rows 38 and 39: what travels is a description, whatever the exception holds.
TEST_F(ErrorTest, AnExceptionOfTheUsersArrivesAsItsStandardBaseAndKeepsItsName) {
  Pool pool(1);
  const auto task = [] { throw Ours("brim"); };
  expect_throws<std::overflow_error>([&] { pool.apply(task); },
                                     [](const std::exception& error) {
                                       const Failure& failure =
                                           dynamic_cast<const RemoteError&>(error).failure();
                                       EXPECT_THAT(failure.type_name(), HasSubstr("Ours"));
                                       EXPECT_EQ(failure.message(), "brim");
                                     });
}

TEST_F(ErrorTest, NestedExceptionsArriveWithTheirTexts) {
  Pool pool(1);
  const auto task = [] {
    try {
      try {
        throw std::out_of_range("inner");
      } catch (...) {
        std::throw_with_nested(std::runtime_error("middle"));
      }
    } catch (...) {
      std::throw_with_nested(std::logic_error("outer"));
    }
  };
  expect_throws<RemoteError>([&] { pool.apply(task); },
                             [](const RemoteError& error) {
                               EXPECT_EQ(error.failure().message(), "outer");
                               EXPECT_THAT(
                                   error.failure().nested(),
                                   ElementsAre(HasSubstr("middle"), "std::out_of_range: inner"));
                               EXPECT_THAT(error.failure().what(), HasSubstr("inner"));
                             });
}

struct Opaque {};

// Row 37: exc-base.
TEST_F(ErrorTest, WhatIsNoStdExceptionIsAnErrorOfItsTaskOnly) {
  Pool pool(1);
  const std::set<int> workers = workers_of(pool);
  const auto task = [](int x) {
    if (x == 0) throw 42;
    if (x == 1) throw "text";
    if (x == 2) throw Opaque{};
    if (x == 3) throw std::string("string");
    return x;
  };
  const auto outcomes = pool.try_map(task, test::numbers(0, 5));
  ASSERT_THAT(outcomes, SizeIs(5));
  EXPECT_THAT(outcomes[0].failure().type_name(), "int");
  EXPECT_THAT(outcomes[1].failure().type_name(), HasSubstr("char const*"));
  EXPECT_THAT(outcomes[2].failure().type_name(), HasSubstr("Opaque"));
  EXPECT_THAT(outcomes[3].failure().type_name(), HasSubstr("std::string"));
  EXPECT_EQ(*outcomes[4], 4);
  expect_throws<std::runtime_error>(
      [&] { pool.map(task, std::vector{2}); },
      [](const std::runtime_error& error) { EXPECT_THAT(error.what(), HasSubstr("Opaque")); });
  EXPECT_EQ(workers_of(pool), workers);
}

// Rows 31 and 33: exc-order, exc-continue.
TEST_F(ErrorTest, TryMapGivesEachOutcomeAtItsPlace) {
  Pool pool(2);
  const auto divide = [](int x) {
    if (x == 0) throw std::domain_error("division by 0");
    return 12 / x;
  };
  const auto outcomes = pool.try_map(divide, std::vector{3, 2, 0, 1, 0, 4});
  ASSERT_THAT(outcomes, SizeIs(6));
  EXPECT_EQ(outcomes[0].value(), 4);
  EXPECT_EQ(*outcomes[1], 6);
  EXPECT_FALSE(outcomes[2]);
  EXPECT_EQ(outcomes[2].failure().task(), 2U);
  EXPECT_THROW((void)outcomes[2].value(), std::domain_error);
  EXPECT_EQ(*outcomes[3], 12);
  EXPECT_EQ(outcomes[4].failure().task(), 4U);
  EXPECT_EQ(outcomes[5].value_or(-1), 3);
}

// Row 32: exc-lowest-index. Element 2 throws only after element 7 has been thrown.
TEST_F(ErrorTest, MapThrowsTheFailureOfTheLowestIndexEvenIfAnotherOneCameFirst) {
  state.reset();
  Pool pool(10);
  const auto task = [](int x) {
    state->begun.add();
    if (!state->begun.reaches(10)) throw std::logic_error("the ten were not at it together");
    if (x == 7) throw std::out_of_range("seven");
    if (x == 2 && state->gate.reaches(1)) throw std::out_of_range("two");
  };
  const CallOptions options{.progress = [](const Progress& progress) {
    if (progress.failed == 1) state->gate.add();
  }};
  expect_throws<RemoteError>([&] { pool.map(task, test::numbers(0, 10), options); },
                             [](const RemoteError& error) {
                               EXPECT_EQ(error.failure().task(), 2U);
                               EXPECT_EQ(error.failure().message(), "two");
                             });
}

// Row 35: exc-abort-fast.
TEST_F(ErrorTest, AfterAFailureMapBeginsNoTaskBehindIt) {
  state.reset();
  Pool pool(2);
  const auto task = [](int x) {
    state->begun.add();
    if (x == 0 && state->begun.reaches(2)) throw std::runtime_error("stop");
    if (!state->gate.reaches(1)) throw std::logic_error("nobody opened the gate");
  };
  const CallOptions options{.progress = [](const Progress& progress) {
    if (progress.failed != 0) state->gate.add();
  }};
  EXPECT_THROW(pool.map(task, test::numbers(0, 101), options), std::runtime_error);
  EXPECT_EQ(state->begun.value(), 2U);
}

// Row 36: exc-pool-usable.
TEST_F(ErrorTest, ExceptionsCostNoWorker) {
  Pool pool(3);
  const std::set<int> workers = workers_of(pool);
  for (int round = 0; round < 50; ++round) {
    EXPECT_THROW(pool.map(fail_at_four, test::numbers(0, 10)), std::out_of_range);
    EXPECT_THAT(pool.map(fail_at_four, std::vector{1, 2}), ElementsAre(1, 2));
  }
  EXPECT_EQ(workers_of(pool), workers);
}

// Row 34: exc-no-fast-fail-hang.
TEST_F(ErrorTest, LargeErrorsAreTakenInWhileThePoolIsClosed) {
  state.reset();
  Pool pool(2);
  const auto task = [](int x) {
    state->begun.add();
    if (!state->begun.reaches(2)) return;  // after a failure no other task would begin
    if (x == 1 && !state->gate.reaches(1)) return;
    throw std::runtime_error(std::string(1'000'000, 'e'));
  };
  std::thread caller([&] { EXPECT_THROW(pool.map(task, std::vector{0, 1}), std::runtime_error); });
  EXPECT_TRUE(state->begun.reaches(2));
  pool.close();
  state->gate.add();
  pool.join();
  caller.join();
}

// Row 40: exc-huge.
TEST_F(ErrorTest, AHugeMessageIsCutWithANoteOfItsLength) {
  for (const std::size_t ring : {std::size_t{4096}, std::size_t{1} << 20}) {
    Pool pool(Options{.workers = 2, .ring_bytes = ring});
    const auto task = [](int size) {
      throw std::runtime_error(std::string(static_cast<std::size_t>(size), 'e'));
    };
    const auto outcomes =
        pool.try_map(task, std::vector{10'000'000, 1 << 20, 4000, 1024, 0, 10'000'000});
    ASSERT_THAT(outcomes, SizeIs(6));
    const std::string& cut = outcomes[0].failure().message();
    EXPECT_THAT(cut, StartsWith("eeee"));
    EXPECT_THAT(cut.substr(cut.size() - 100), HasSubstr("10000000"));
    EXPECT_LT(cut.size(), std::size_t{1'100'000});
    EXPECT_EQ(outcomes[1].failure().message(), std::string(1 << 20, 'e'));
    EXPECT_EQ(outcomes[2].failure().message(), std::string(4000, 'e'));
    EXPECT_EQ(outcomes[4].failure().message(), "");
    EXPECT_EQ(outcomes[5].failure().message(), cut);
  }
}

TEST_F(ErrorTest, AMessageOfAnyBytesArrivesAsItIs) {
  Pool pool(1);
  const auto task = [] { throw std::runtime_error("\xff\xfe\x01 \n\t \xc3\x28"); };
  expect_throws<RemoteError>([&] { pool.apply(task); },
                             [](const RemoteError& error) {
                               EXPECT_EQ(error.failure().message(), "\xff\xfe\x01 \n\t \xc3\x28");
                             });
}

struct Silent : std::runtime_error {
  Silent() : std::runtime_error("") {}
  [[nodiscard]] const char* what() const noexcept override { return nullptr; }
};

// An exception may misbehave, too: its text may be missing, or kill.
TEST_F(ErrorTest, AnExceptionWithoutATextCostsItsTaskOnly) {
  Pool pool(2);
  const auto task = [](int x) {
    if (x == 3) throw Silent();
    return x;
  };
  const auto outcomes = pool.try_map(task, test::numbers(0, 10));
  ASSERT_THAT(outcomes, SizeIs(10));
  for (int x = 0; x < 10; ++x) EXPECT_EQ(outcomes[static_cast<std::size_t>(x)].has_value(), x != 3);
  EXPECT_EQ(outcomes[3].failure().task(), 3U);
}

struct Deadly : std::runtime_error {
  Deadly() : std::runtime_error("") {}
  [[nodiscard]] const char* what() const noexcept override { ::_exit(7); }
};

TEST_F(ErrorTest, AnExceptionWhoseTextKillsCostsItsTaskOnly) {
  Pool pool(2);
  const auto task = [](int x) {
    if (x == 3) throw Deadly();
    return x;
  };
  const auto outcomes = pool.try_map(task, test::numbers(0, 10));
  ASSERT_THAT(outcomes, SizeIs(10));
  for (int x = 0; x < 10; ++x) EXPECT_EQ(outcomes[static_cast<std::size_t>(x)].has_value(), x != 3);
  EXPECT_EQ(outcomes[3].failure().kind(), FailureKind::crashed);
  EXPECT_EQ(outcomes[3].failure().exit_code(), 7);
}

}  // namespace
}  // namespace bulkhead
