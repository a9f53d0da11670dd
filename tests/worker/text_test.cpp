// SPDX-License-Identifier: MIT
//
// Words and lines of a text, whatever stands between them and wherever it ends.
#include <bulkhead/text.hpp>

#include <cctype>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include <gmock/gmock.h>

namespace bulkhead {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::vector<std::string> words_of(std::string_view text) {
  std::vector<std::string> all;
  for (const std::string_view word : words(text)) all.emplace_back(word);
  return all;
}
std::vector<std::string> lines_of(std::string_view text) {
  std::vector<std::string> all;
  for (const std::string_view line : lines(text)) all.emplace_back(line);
  return all;
}

/// One byte at a time.
std::vector<std::string> words_plainly(std::string_view text) {
  std::vector<std::string> all;
  std::string word;
  for (const char c : text) {
    if (std::isspace(static_cast<unsigned char>(c)) == 0) {
      word += c;
    } else if (!word.empty()) {
      all.push_back(std::exchange(word, {}));
    }
  }
  if (!word.empty()) all.push_back(word);
  return all;
}

TEST(Words, AreBetweenWhiteSpace) {
  EXPECT_THAT(words_of("to be,\tor  not\r\nto\vbe\f"),
              ElementsAre("to", "be,", "or", "not", "to", "be"));
  EXPECT_THAT(words_of(""), IsEmpty());
  EXPECT_THAT(words_of(std::string_view()), IsEmpty());
  EXPECT_THAT(words_of(" \n\t"), IsEmpty());
  EXPECT_THAT(words_of("one"), ElementsAre("one"));
}

TEST(Words, MayHoldAnyOtherByte) {
  const std::string odd("a\0b \x01\x08\x0e\x1f \x7f\x80\xa0\xff", 14);
  EXPECT_EQ(words_of(odd), words_plainly(odd));
  EXPECT_EQ(words_of(odd).size(), 3U);
}

TEST(Words, OfAnyLengthAreFoundWhereverTheyBegin) {
  std::minstd_rand random(1);
  for (int round = 0; round < 2000; ++round) {
    std::string text;
    const auto size = random() % (round % 10 == 0 ? 10'000 : 200);
    const auto rarity = 1 + random() % 70;
    while (text.size() < size) text += random() % rarity == 0 ? " \t\n\v\f\r"[random() % 6] : 'x';
    ASSERT_EQ(words_of(text), words_plainly(text)) << text;
  }
}

// The bytes behind it belong to others.
TEST(Words, EndWithTheText) {
  const std::string text(1000, 'x');
  for (std::size_t size = 0; size < 200; ++size) {
    const auto found = words_of(std::string_view(text).substr(7, size));
    ASSERT_EQ(found.size(), size == 0 ? 0U : 1U);
    if (size != 0) {
      ASSERT_EQ(found[0].size(), size);
    }
  }
}

TEST(Lines, MayEndInAnotherByte) {
  std::vector<std::string> all;
  for (const std::string_view line : lines("one;two\r;;four", ';')) all.emplace_back(line);
  EXPECT_THAT(all, ElementsAre("one", "two\r", "", "four"));
}

TEST(Lines, EndWithAFeedOrWithTheText) {
  EXPECT_THAT(lines_of("one\ntwo\r\n\nfour"), ElementsAre("one", "two", "", "four"));
  EXPECT_THAT(lines_of("one\n"), ElementsAre("one"));
  EXPECT_THAT(lines_of("\n"), ElementsAre(""));
  EXPECT_THAT(lines_of("\r\n\r"), ElementsAre("", ""));
  EXPECT_THAT(lines_of(""), IsEmpty());
}

TEST(Lines, CanBeGoneThroughAgain) {
  const Lines two = lines("a\nb");
  auto first = two.begin();
  const auto before = first++;
  EXPECT_EQ(*before, "a");
  EXPECT_EQ(*first, "b");
  EXPECT_EQ(*two.begin(), "a");
  EXPECT_TRUE(++first == two.end());
}

}  // namespace
}  // namespace bulkhead
