// SPDX-License-Identifier: MIT
//
// Strings in a trace.
#include "runtime/trace.hpp"

#include <string>

#include <gtest/gtest.h>

namespace bulkhead::detail {
namespace {

TEST(JsonString, EscapesWhatItMust) {
  EXPECT_EQ(json_string("a \"b\" \\c"), R"("a \"b\" \\c")");
  EXPECT_EQ(json_string("\n\t\x01"), R"("\u000a\u0009\u0001")");
  EXPECT_EQ(json_string(""), R"("")");
}

TEST(JsonString, KeepsCharactersAndNoOtherBytes) {
  EXPECT_EQ(json_string("\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80"),
            "\"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\"");
  EXPECT_EQ(json_string("\xff" "a\xc3"), R"("?a?")");
  EXPECT_EQ(json_string("\xc0\x80"), R"("??")") << "overlong";
  EXPECT_EQ(json_string("\xed\xa0\x80"), R"("???")") << "half of a pair";
  EXPECT_EQ(json_string("\xf4\x90\x80\x80"), R"("????")") << "beyond the last";
}

TEST(CallNames, AreLabelsOrNumbers) {
  EXPECT_EQ(to_text(CallName{7, nullptr}), "call 7");
  EXPECT_EQ(to_text(CallName{7, std::make_shared<const std::string>("parse")}), "parse");
}

}  // namespace
}  // namespace bulkhead::detail
