// SPDX-License-Identifier: MIT
//
// What tests of keyed jobs share: a folder of their own, and texts whose words are counted.
#pragma once

#include "tests/support/process.hpp"
#include <bulkhead/by_key.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

namespace bulkhead::test {

using Counts = std::map<std::string, std::uint64_t>;

class KeyedTest : public ProcessTest {
 protected:
  void SetUp() override {
    ProcessTest::SetUp();
    std::array<char, 32> name{"/tmp/bulkhead-test-XXXXXX"};
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    folder_ = name.data();
  }
  void TearDown() override {
    std::filesystem::remove_all(folder_);
    ProcessTest::TearDown();
  }

  std::string write(const std::string& name, const std::string& text) {
    const std::string path = folder_ / name;
    std::ofstream(path, std::ios::binary) << text;
    return path;
  }

  std::filesystem::path folder_;
};

inline constexpr auto kCountWords = [](std::string_view lines, auto& emit) {
  for (const std::string_view word : words(lines)) emit(word);
};

/// How many values there are, if the numbers that they begin with rise; else -1.
inline constexpr auto kCountInOrder = [](int, Values<std::string>& values) {
  int before = -1;
  int number = 0;
  for (const std::string& value : values) {
    const int x = std::atoi(value.c_str());
    if (x <= before) return -1;
    before = x;
    ++number;
  }
  return number;
};

inline std::string random_text(std::size_t size) {
  std::minstd_rand random(1);
  std::string text;
  while (text.size() < size) {
    const auto length = 1 + random() % (random() % 100 == 0 ? 60 : 9);
    for (std::size_t i = 0; i < length; ++i) text += static_cast<char>('a' + random() % 4);
    text += random() % 9 == 0 ? '\n' : ' ';
  }
  return text;
}
inline Counts count_plainly(std::string_view text) {
  Counts counts;
  for (const std::string_view word : words(text)) ++counts[std::string(word)];
  return counts;
}
/// Bytes that are few enough for many runs to come of the tests' inputs.
inline KeyedOptions scarce() {
  return {.memory = std::uint64_t{1} << 20, .commit_interval = 100'000};
}

inline std::string read_whole(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}
template <class Result>
std::vector<typename Result::value_type> pairs_of(Result& result) {
  std::vector<typename Result::value_type> pairs;
  for (const auto& pair : result) pairs.push_back(pair);
  return pairs;
}
/// Each key of it once.
template <class K, class V>
std::map<K, V> map_of(KeyedResult<K, V>& result) {
  std::map<K, V> all;
  for (const auto& [key, value] : result) EXPECT_TRUE(all.emplace(key, value).second);
  return all;
}
template <class Input>
Counts count_words(Pool& pool, Input&& input, const KeyedOptions& options = {}) {
  auto result =
      pool.map_reduce_by_key<std::string, std::uint64_t>(input, kCountWords, sum, options);
  return map_of(result);
}

}  // namespace bulkhead::test
