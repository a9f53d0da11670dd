// SPDX-License-Identifier: MIT
#include <bulkhead/error.hpp>
#include <bulkhead/failure.hpp>
#include <bulkhead/remote_error.hpp>

#include <cerrno>
#include <new>
#include <optional>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>

#include <gtest/gtest.h>

namespace bulkhead {
namespace {

using detail::FailureDetails;
using detail::StandardType;

// Each thrown object has one base that is a std::exception.
static_assert(!std::is_base_of_v<std::exception, RemoteError>);
static_assert(std::is_convertible_v<CrashError*, std::exception*>);
static_assert(std::is_convertible_v<TimeoutError*, std::exception*>);
static_assert(std::is_convertible_v<OutOfMemoryError*, std::exception*>);
static_assert(std::is_convertible_v<CancelledError*, std::exception*>);

// Errors that are no task's have a base of their own.
static_assert(std::is_base_of_v<std::runtime_error, Error>);
static_assert(std::is_base_of_v<Error, InvalidArgument>);
static_assert(std::is_base_of_v<Error, PoolClosed>);
static_assert(std::is_base_of_v<Error, BrokenPool>);
static_assert(std::is_base_of_v<Error, SystemError>);
static_assert(std::is_base_of_v<Error, DecodeError>);
static_assert(!std::is_base_of_v<Error, CrashError>);

FailureDetails details_of(FailureKind kind) {
  FailureDetails details;
  details.kind = kind;
  details.task = 4;
  details.worker_pid = 812;
  return details;
}

FailureDetails exception_details() {
  FailureDetails details = details_of(FailureKind::exception);
  details.standard_type = StandardType::out_of_range;
  details.type_name = "std::out_of_range";
  details.message = "no such row";
  return details;
}

TEST(Failure, SaysAllOfAnExceptionInOneSentence) {
  EXPECT_EQ(Failure(exception_details()).what(),
            "task 4 threw std::out_of_range: no such row, worker pid 812, attempt 1");
}

TEST(Failure, SaysWhatCausedTheException) {
  FailureDetails details = exception_details();
  details.nested = {"A: a", "B: b"};
  EXPECT_EQ(Failure(details).what(),
            "task 4 threw std::out_of_range: no such row; caused by A: a; caused by B: b, worker "
            "pid 812, attempt 1");
}

TEST(Failure, HasASentenceForEveryKind) {
  const auto sentence = [](FailureKind kind) {
    FailureDetails details = details_of(kind);
    details.message = "why";
    return Failure(details).what();
  };
  EXPECT_EQ(sentence(FailureKind::crashed), "task 4 crashed: why, worker pid 812, attempt 1");
  EXPECT_EQ(sentence(FailureKind::timed_out), "task 4 timed out: why, worker pid 812, attempt 1");
  EXPECT_EQ(sentence(FailureKind::out_of_memory),
            "task 4 ran out of memory: why, worker pid 812, attempt 1");
  EXPECT_EQ(sentence(FailureKind::cancelled),
            "task 4 was cancelled: why, worker pid 812, attempt 1");
  EXPECT_EQ(sentence(FailureKind::not_run), "task 4 was not run: why, worker pid 812, attempt 1");
}

TEST(Failure, LeavesOutWhatIsNotKnown) {
  FailureDetails details = details_of(FailureKind::cancelled);
  details.worker_pid = 0;
  EXPECT_EQ(Failure(details).what(), "task 4 was cancelled");
}

TEST(Failure, CountsAttempts) {
  FailureDetails details = details_of(FailureKind::crashed);
  details.attempt = 3;
  const Failure failure(details);
  EXPECT_EQ(failure.attempt(), 3);
  EXPECT_EQ(failure.what(), "task 4 crashed, worker pid 812, attempt 3");
}

TEST(Failure, SaysThatItsTaskRanInline) {
  FailureDetails details = exception_details();
  details.worker_pid = 0;
  details.is_inline = true;
  details.attempt = 2;
  details.earlier.emplace_back(exception_details());
  EXPECT_EQ(Failure(details).what(),
            "task 4 threw std::out_of_range: no such row, inline, attempt 2; attempt 1: the same");
}

TEST(Failure, NamesTheFileOfItsTask) {
  FailureDetails details = exception_details();
  EXPECT_EQ(Failure(details).replay_file(), "");
  details.replay_file = "/tmp/1-4.bulkhead";
  EXPECT_EQ(Failure(details).replay_file(), "/tmp/1-4.bulkhead");
  EXPECT_EQ(Failure(details).what(),
            "task 4 threw std::out_of_range: no such row, worker pid 812, attempt 1; saved as "
            "/tmp/1-4.bulkhead");
}

TEST(Failure, GivesItsFacts) {
  FailureDetails details = details_of(FailureKind::crashed);
  details.message = "SIGSEGV";
  details.signal = 11;
  details.backtrace = {"f at a.cpp:1", "main at a.cpp:2"};
  const Failure failure(details);
  EXPECT_EQ(failure.kind(), FailureKind::crashed);
  EXPECT_EQ(failure.task(), 4U);
  EXPECT_EQ(failure.worker_pid(), 812);
  EXPECT_EQ(failure.message(), "SIGSEGV");
  EXPECT_EQ(failure.signal(), 11);
  EXPECT_EQ(failure.exit_code(), -1);
  EXPECT_EQ(failure.backtrace(), details.backtrace);
  EXPECT_TRUE(failure.nested().empty());
  EXPECT_TRUE(failure.type_name().empty());
}

TEST(Failure, OutlivesTheOneItWasCopiedFromAndSharesItsTexts) {
  std::optional<Failure> original(exception_details());
  const char* text = original->message().data();
  const Failure copy = *original;
  original.reset();
  EXPECT_EQ(copy.message(), "no such row");
  EXPECT_EQ(copy.message().data(), text);
}

TEST(Failure, NamesItsKinds) {
  EXPECT_STREQ(to_string(FailureKind::exception), "exception");
  EXPECT_STREQ(to_string(FailureKind::crashed), "crashed");
  EXPECT_STREQ(to_string(FailureKind::timed_out), "timed out");
  EXPECT_STREQ(to_string(FailureKind::out_of_memory), "out of memory");
  EXPECT_STREQ(to_string(FailureKind::cancelled), "cancelled");
  EXPECT_STREQ(to_string(FailureKind::not_run), "not run");
  EXPECT_STREQ(to_string(static_cast<FailureKind>(99)), "unknown");
}

// -------------------------------------------------------------------------------------------------
// Raising

template <class Type, class Base>
void expect_kind_to_raise(FailureKind kind) {
  const Failure failure(details_of(kind));
  SCOPED_TRACE(failure.what());
  EXPECT_THROW(failure.raise(), Type);
  EXPECT_THROW(failure.raise(), Base);
  EXPECT_THROW(failure.raise(), RemoteError);
  EXPECT_THROW(failure.raise(), std::exception);
}

TEST(Failure, RaisesAnErrorOfItsKind) {
  expect_kind_to_raise<CrashError, std::runtime_error>(FailureKind::crashed);
  expect_kind_to_raise<TimeoutError, std::runtime_error>(FailureKind::timed_out);
  expect_kind_to_raise<OutOfMemoryError, std::bad_alloc>(FailureKind::out_of_memory);
  expect_kind_to_raise<CancelledError, std::runtime_error>(FailureKind::cancelled);
  expect_kind_to_raise<CancelledError, std::runtime_error>(FailureKind::not_run);
}

TEST(Failure, RaisesAnExceptionOfNoStandardTypeAsARuntimeError) {
  FailureDetails details = exception_details();
  details.standard_type = StandardType::none;
  EXPECT_THROW(Failure(details).raise(), std::runtime_error);
  EXPECT_THROW(Failure(details).raise(), RemoteError);
}

TEST(Failure, SaysTheSameThroughEitherBase) {
  const Failure failure(exception_details());
  const auto text_as = [&failure](auto caught) -> std::string {
    try {
      failure.raise();
    } catch (const typename decltype(caught)::type& error) {
      return error.what();
    }
  };
  EXPECT_EQ(text_as(std::type_identity<std::exception>{}), failure.what());
  EXPECT_EQ(text_as(std::type_identity<std::out_of_range>{}), failure.what());
  EXPECT_EQ(text_as(std::type_identity<RemoteError>{}), failure.what());
}

TEST(Failure, SaysTheSameWhateverItsKindIsCaughtAs) {
  for (const FailureKind kind : {FailureKind::crashed, FailureKind::timed_out,
                                 FailureKind::out_of_memory, FailureKind::cancelled}) {
    const Failure failure(details_of(kind));
    try {
      failure.raise();
    } catch (const std::exception& error) {
      EXPECT_EQ(error.what(), failure.what());
    }
  }
}

TEST(Failure, CanBeHadFromWhatWasThrown) {
  try {
    Failure(exception_details()).raise();
  } catch (const RemoteError& error) {
    EXPECT_EQ(error.failure().task(), 4U);
    EXPECT_EQ(error.failure().worker_pid(), 812);
    EXPECT_EQ(error.failure().type_name(), "std::out_of_range");
  }
}

// -------------------------------------------------------------------------------------------------
// Errors that are no task's

TEST(SystemError, AppendsTheTextOfItsNumber) {
  const SystemError error("bulkhead: cannot fork", EAGAIN);
  EXPECT_STREQ(error.what(), "bulkhead: cannot fork: Resource temporarily unavailable");
  EXPECT_EQ(error.error_number(), EAGAIN);
}

}  // namespace
}  // namespace bulkhead
