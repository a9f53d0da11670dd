// SPDX-License-Identifier: MIT
#include "serialization/demangle.hpp"

#include <map>
#include <string>
#include <string_view>
#include <typeinfo>
#include <vector>

#include <gtest/gtest.h>

namespace bulkhead::detail {
namespace {

template <class T>
std::string name_of() {
  return demangled(typeid(T).name());
}

TEST(Demangle, NamesTypesAsPeopleDo) {
  EXPECT_EQ(name_of<std::string>(), "std::string");
  EXPECT_EQ(name_of<std::string_view>(), "std::string_view");
  EXPECT_EQ(name_of<std::vector<int>>(), "std::vector<int>");
  EXPECT_EQ(name_of<std::vector<std::vector<std::string>>>(),
            "std::vector<std::vector<std::string>>");
  EXPECT_EQ((name_of<std::pair<std::vector<int>, long>>()), "std::pair<std::vector<int>, long>");
}

TEST(Demangle, NamesFunctionsAsPeopleDo) {
  EXPECT_EQ(demangled("_ZSt9terminatev"), "std::terminate()");
  EXPECT_EQ(demangled("_Z5parseRKNSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEEE"),
            "parse(std::string const&)");
}

TEST(Demangle, LeavesOtherNamesAlone) {
  EXPECT_EQ(demangled("main"), "main");
  EXPECT_EQ(demangled(""), "");
  EXPECT_EQ(demangled("_Zwrong"), "_Zwrong");
}

}  // namespace
}  // namespace bulkhead::detail
