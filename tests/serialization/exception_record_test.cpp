// SPDX-License-Identifier: MIT
//
// An exception as it is described where it was thrown, crosses as bytes, and is thrown again.
#include <bulkhead/detail/exception_record.hpp>
#include <bulkhead/error.hpp>
#include <bulkhead/remote_error.hpp>

#include <any>
#include <cerrno>
#include <cstring>
#include <exception>
#include <filesystem>
#include <functional>
#include <future>
#include <ios>
#include <memory>
#include <new>
#include <optional>
#include <random>
#include <regex>
#include <span>
#include <stdexcept>
#include <string>
#include <system_error>
#include <typeinfo>
#include <unistd.h>
#include <utility>
#include <variant>
#include <vector>

#include <gtest/gtest.h>

namespace bulkhead::detail {

struct NotAnException {};
class NoSuchRow : public std::out_of_range {
 public:
  NoSuchRow() : std::out_of_range("row 7") {}
};

namespace {

template <class Thrown>
FailureDetails described(const Thrown& thrown) {
  try {
    throw thrown;  // NOLINT(cert-err09-cpp)
  } catch (...) {
    return describe_current_exception();
  }
}

std::vector<std::byte> encoded(const FailureDetails& details) {
  SpillWriter out({});
  encode_exception(details, out);
  return out.take();
}

FailureDetails decoded(std::span<const std::byte> bytes) {
  SpanReader in(bytes);
  FailureDetails details = decode_exception(in);
  EXPECT_TRUE(in.exhausted());
  return details;
}

/// The failure that the caller gets of a task that threw.
template <class Thrown>
Failure sent(const Thrown& thrown) {
  return Failure(decoded(encoded(described(thrown))));
}

template <class Type, class Thrown>
void expect_to_arrive_as(const Thrown& thrown) {
  const Failure failure = sent(thrown);
  SCOPED_TRACE(failure.what());
  EXPECT_EQ(failure.kind(), FailureKind::exception);
  EXPECT_THROW(failure.raise(), Type);
  EXPECT_THROW(failure.raise(), RemoteError);
  EXPECT_THROW(failure.raise(), std::exception);
}

template <class Thrown>
void expect_to_arrive(const Thrown& thrown) {
  expect_to_arrive_as<Thrown>(thrown);
  EXPECT_EQ(described(thrown).message, thrown.what());
}

// -------------------------------------------------------------------------------------------------
// Types

TEST(ExceptionRecord, LogicErrorsArriveAsTheType) {
  expect_to_arrive(std::logic_error("text"));
  expect_to_arrive(std::invalid_argument("text"));
  expect_to_arrive(std::domain_error("text"));
  expect_to_arrive(std::length_error("text"));
  expect_to_arrive(std::out_of_range("text"));
}

TEST(ExceptionRecord, RuntimeErrorsArriveAsTheType) {
  expect_to_arrive(std::runtime_error("text"));
  expect_to_arrive(std::range_error("text"));
  expect_to_arrive(std::overflow_error("text"));
  expect_to_arrive(std::underflow_error("text"));
  expect_to_arrive(std::system_error(EACCES, std::generic_category(), "text"));
}

TEST(ExceptionRecord, ErrorsWithoutATextOfTheirOwnArriveAsTheType) {
  expect_to_arrive(std::exception());
  expect_to_arrive(std::bad_alloc());
  expect_to_arrive(std::bad_cast());
  expect_to_arrive(std::bad_typeid());
  expect_to_arrive(std::bad_function_call());
  expect_to_arrive(std::bad_optional_access());
  expect_to_arrive(std::bad_variant_access());
  expect_to_arrive(std::bad_weak_ptr());
}

TEST(ExceptionRecord, DerivedTypesArriveAsTheNearestStandardOne) {
  expect_to_arrive_as<std::out_of_range>(NoSuchRow());
  expect_to_arrive_as<std::logic_error>(std::future_error(std::future_errc::broken_promise));
  expect_to_arrive_as<std::runtime_error>(std::regex_error(std::regex_constants::error_paren));
  expect_to_arrive_as<std::system_error>(std::ios_base::failure("text"));
  expect_to_arrive_as<std::system_error>(
      std::filesystem::filesystem_error("text", std::make_error_code(std::errc::io_error)));
  expect_to_arrive_as<std::bad_alloc>(std::bad_array_new_length());
  expect_to_arrive_as<std::bad_cast>(std::bad_any_cast());
}

TEST(ExceptionRecord, ATypeThatArrivesIsNoMoreSpecificThanWhatWasThrown) {
  EXPECT_EQ(described(std::logic_error("x")).standard_type, StandardType::logic_error);
  EXPECT_EQ(described(std::runtime_error("x")).standard_type, StandardType::runtime_error);
  EXPECT_EQ(described(std::exception()).standard_type, StandardType::exception);
}

TEST(ExceptionRecord, NamesTheDynamicType) {
  EXPECT_EQ(sent(NoSuchRow()).type_name(), "bulkhead::detail::NoSuchRow");
  EXPECT_EQ(sent(std::bad_alloc()).type_name(), "std::bad_alloc");
}

TEST(ExceptionRecord, WhatIsNotAStandardExceptionArrivesAsARuntimeError) {
  expect_to_arrive_as<std::runtime_error>(5);
  expect_to_arrive_as<std::runtime_error>(std::string("text"));
  expect_to_arrive_as<std::runtime_error>("text");
  expect_to_arrive_as<std::runtime_error>(NotAnException{});
}

TEST(ExceptionRecord, TellsTypeAndValueOfWhatIsNotAStandardException) {
  const Failure number = sent(5);
  EXPECT_EQ(number.type_name(), "int");
  EXPECT_EQ(number.message(), "5");
  const Failure text = sent(std::string("a text"));
  EXPECT_EQ(text.type_name(), "std::string");
  EXPECT_EQ(text.message(), "a text");
  const Failure literal = sent(static_cast<const char*>("a literal"));
  EXPECT_EQ(literal.type_name(), "char const*");
  EXPECT_EQ(literal.message(), "a literal");
  const Failure other = sent(NotAnException{});
  EXPECT_EQ(other.type_name(), "bulkhead::detail::NotAnException");
  EXPECT_EQ(other.message(), "not a std::exception");
}

TEST(ExceptionRecord, SurvivesANullText) {
  EXPECT_EQ(sent(static_cast<const char*>(nullptr)).message(), "null");
}

class Speechless : public std::exception {
 public:
  [[nodiscard]] const char* what() const noexcept override { return nullptr; }
};

TEST(ExceptionRecord, SurvivesAnExceptionWithoutWords) {
  EXPECT_EXIT(
      {
        const FailureDetails details = described(Speechless());
        ::_exit(details.standard_type == StandardType::exception ? 0 : 1);
      },
      ::testing::ExitedWithCode(0), "");
}

// -------------------------------------------------------------------------------------------------
// system_error

std::error_code code_of(const Failure& failure) {
  try {
    failure.raise();
  } catch (const std::system_error& error) {
    return error.code();
  } catch (const std::exception&) {
    return {};
  }
}

TEST(ExceptionRecord, ASystemErrorKeepsItsCode) {
  EXPECT_EQ(code_of(sent(std::system_error(EACCES, std::generic_category()))),
            std::error_code(EACCES, std::generic_category()));
  EXPECT_EQ(code_of(sent(std::system_error(ENOENT, std::system_category()))),
            std::error_code(ENOENT, std::system_category()));
  EXPECT_EQ(code_of(sent(std::ios_base::failure("x", std::io_errc::stream))),
            std::make_error_code(std::io_errc::stream));
  EXPECT_EQ(code_of(sent(std::system_error(-3, std::generic_category()))).value(), -3);
}

class WeatherCategory : public std::error_category {
 public:
  [[nodiscard]] const char* name() const noexcept override { return "weather"; }
  [[nodiscard]] std::string message(int) const override { return "rain"; }
};

TEST(ExceptionRecord, ASystemErrorOfAForeignCategoryArrivesAsARuntimeErrorThatNamesIt) {
  const WeatherCategory weather;
  const FailureDetails details = decoded(encoded(described(std::system_error(9, weather, "sky"))));
  EXPECT_EQ(details.category, "weather");
  EXPECT_EQ(details.error_value, 9);
  const Failure failure(details);
  EXPECT_THROW(failure.raise(), std::runtime_error);
  EXPECT_EQ(code_of(failure), std::error_code());
  EXPECT_EQ(failure.message(), "sky: rain");
}

// -------------------------------------------------------------------------------------------------
// Nesting

void throw_nested(int levels) {
  if (levels == 0) throw std::out_of_range("level 0");
  try {
    throw_nested(levels - 1);
  } catch (...) {
    std::throw_with_nested(std::runtime_error("level " + std::to_string(levels)));
  }
}

FailureDetails described_nested(int levels) {
  try {
    throw_nested(levels);
  } catch (...) {
    return describe_current_exception();
  }
  return {};
}

TEST(ExceptionRecord, TellsTheNestedExceptionsOutermostFirst) {
  const FailureDetails details = decoded(encoded(described_nested(2)));
  EXPECT_EQ(details.message, "level 2");
  EXPECT_EQ(details.standard_type, StandardType::runtime_error);
  ASSERT_EQ(details.nested.size(), 2U);
  EXPECT_NE(details.nested[0].find("std::runtime_error"), std::string::npos);
  EXPECT_NE(details.nested[0].find(": level 1"), std::string::npos);
  EXPECT_EQ(details.nested[1], "std::out_of_range: level 0");
}

TEST(ExceptionRecord, LeavesOutWhatIsNestedTooDeep) {
  EXPECT_EQ(described_nested(16).nested.size(), 16U);
  const FailureDetails details = decoded(encoded(described_nested(40)));
  ASSERT_EQ(details.nested.size(), kMaxNestedExceptions);
  EXPECT_NE(details.nested.back().find("level 24"), std::string::npos);
}

TEST(ExceptionRecord, TellsThatANestedOneIsNotAStandardException) {
  FailureDetails details;
  try {
    try {
      throw 5;
    } catch (...) {
      std::throw_with_nested(std::runtime_error("outer"));
    }
  } catch (...) {
    details = describe_current_exception();
  }
  EXPECT_EQ(details.nested, std::vector<std::string>{"an exception that is not a std::exception"});
}

TEST(ExceptionRecord, LeavesTheExceptionThatIsBeingHandledAlone) {
  try {
    throw_nested(1);
  } catch (const std::exception& error) {
    (void)describe_current_exception();
    EXPECT_STREQ(error.what(), "level 1");
    EXPECT_THROW(std::rethrow_if_nested(error), std::out_of_range);
    return;
  }
  FAIL() << "nothing was thrown";
}

// -------------------------------------------------------------------------------------------------
// Texts

TEST(ExceptionRecord, KeepsAMessageOfTheLongestLengthWhole) {
  const std::string text(kMaxMessageBytes, 'x');
  EXPECT_EQ(sent(std::runtime_error(text)).message(), text);
}

TEST(ExceptionRecord, CutsALongerMessageAndSaysSo) {
  const std::string text(kMaxMessageBytes + 10, 'x');
  EXPECT_EQ(sent(std::runtime_error(text)).message(),
            std::string(kMaxMessageBytes, 'x') + " [cut; 1048586 bytes in all]");
}

TEST(ExceptionRecord, CutsNestedMessagesToo) {
  FailureDetails details;
  try {
    try {
      throw std::runtime_error(std::string(2 * kMaxMessageBytes, 'y'));
    } catch (...) {
      std::throw_with_nested(std::runtime_error("outer"));
    }
  } catch (...) {
    details = describe_current_exception();
  }
  ASSERT_EQ(details.nested.size(), 1U);
  EXPECT_NE(details.nested[0].find(" [cut; 2097152 bytes in all]"), std::string::npos);
  EXPECT_LT(details.nested[0].size(), kMaxMessageBytes + 100);
}

TEST(ExceptionRecord, KeepsZeroBytesInAThrownString) {
  const std::string text("a\0b", 3);
  EXPECT_EQ(sent(text).message(), text);
}

TEST(ExceptionRecord, KeepsAnEmptyMessage) {
  EXPECT_EQ(sent(std::runtime_error("")).message(), "");
}

// -------------------------------------------------------------------------------------------------
// Bytes that nobody encoded

std::string decode_error_of(std::span<const std::byte> bytes) {
  try {
    SpanReader in(bytes);
    (void)decode_exception(in);
  } catch (const DecodeError& error) {
    return error.what();
  }
  return "no DecodeError";
}

TEST(ExceptionRecord, RefusesEveryTruncation) {
  const std::vector<std::byte> bytes = encoded(described_nested(3));
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    const std::vector<std::byte> part(bytes.begin(),
                                      bytes.begin() + static_cast<std::ptrdiff_t>(size));
    EXPECT_NE(decode_error_of(part), "no DecodeError") << size << " bytes";
  }
}

TEST(ExceptionRecord, SaysAtWhichElementItWasThrown) {
  FailureDetails details = described(std::runtime_error("x"));
  details.task = 77;
  const std::vector<std::byte> bytes = encoded(details);
  SpanReader in(bytes);
  EXPECT_EQ(decode_exception(in).task, 77U);
}

TEST(ExceptionRecord, RefusesAnUnknownType) {
  std::vector<std::byte> bytes = encoded(described(std::runtime_error("x")));
  bytes[0] = static_cast<std::byte>(static_cast<int>(StandardType::bad_weak_ptr) + 1);
  EXPECT_EQ(decode_error_of(bytes), "no such exception type: 19");
  bytes[0] = std::byte{200};
  EXPECT_EQ(decode_error_of(bytes), "no such exception type: 200");
}

TEST(ExceptionRecord, RefusesATextLongerThanTheData) {
  std::vector<std::byte> bytes = encoded(described(std::runtime_error("x")));
  const std::uint32_t claim = 0xffffffff;
  std::memcpy(bytes.data() + 1, &claim, sizeof claim);
  EXPECT_NE(decode_error_of(bytes).find("claims 4294967295 elements"), std::string::npos);
}

TEST(ExceptionRecord, RefusesMoreNestedExceptionsThanAreEverSent) {
  std::vector<std::byte> bytes = encoded(described(std::runtime_error("x")));
  const std::uint32_t claim = kMaxNestedExceptions + 1;
  std::memcpy(bytes.data() + bytes.size() - sizeof claim, &claim, sizeof claim);
  EXPECT_EQ(decode_error_of(bytes), "too many nested exceptions");
}

TEST(ExceptionRecord, MakesOfRandomBytesADecodeErrorOrAFailure) {
  std::mt19937 random(77);
  const std::vector<std::byte> sound = encoded(described_nested(3));
  for (int round = 0; round < 20'000; ++round) {
    std::vector<std::byte> bytes = sound;
    for (int flips = 0; flips < 3; ++flips) {
      bytes[random() % bytes.size()] = static_cast<std::byte>(random());
    }
    try {
      SpanReader in(bytes);
      const Failure failure(decode_exception(in));
      EXPECT_THROW(failure.raise(), RemoteError);
    } catch (const DecodeError&) {
      continue;
    }
  }
}

}  // namespace
}  // namespace bulkhead::detail
