// SPDX-License-Identifier: MIT
//
// What is held of an input: by the numbers of its elements, and no longer than it is wanted.
#include "runtime/held_pieces.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace bulkhead::detail {
namespace {

/// Of elements of one byte each.
Piece piece(const std::string& text, std::uint64_t weight) {
  Piece made;
  for (const char byte : text) {
    made.argument.push_back(static_cast<std::byte>(byte));
    made.ends.push_back(made.argument.size());
  }
  made.weight = weight;
  made.name = text;
  return made;
}

class HeldPiecesTest : public ::testing::Test {
 protected:
  HeldPiecesTest() {
    pieces_.add(piece("abc", 30));
    Piece one;
    one.argument = std::vector<std::byte>(2, std::byte{'D'});
    one.weight = 100;
    pieces_.add(std::move(one));
    pieces_.add(piece("efgh", 4));
  }
  std::string bytes(Elements elements) const {
    std::string all;
    pieces_.for_each(elements, [&](std::span<const std::byte> some) {
      for (const std::byte byte : some) all += static_cast<char>(byte);
    });
    return all;
  }

  HeldPieces pieces_;
};

TEST_F(HeldPiecesTest, GivesTheBytesOfElements) {
  EXPECT_EQ(pieces_.known(), 8U);
  EXPECT_EQ(bytes({0, 8}), "abcDDefgh");
  EXPECT_EQ(bytes({1, 1}), "b");
  EXPECT_EQ(bytes({2, 3}), "cDDe");
  EXPECT_EQ(bytes({7, 1}), "h");
  EXPECT_EQ(pieces_.name_of(2), "abc");
  EXPECT_EQ(pieces_.name_of(3), "");
  EXPECT_EQ(pieces_.name_of(8), "");
}

TEST_F(HeldPiecesTest, CountsElementsByTheirWeight) {
  EXPECT_EQ(pieces_.weight_of({0, 8}), 134U);
  EXPECT_EQ(pieces_.weight_of({1, 2}), 20U);
  EXPECT_EQ(pieces_.count_of({0, 8}, 1), 1U);
  EXPECT_EQ(pieces_.count_of({0, 8}, 11), 2U);
  EXPECT_EQ(pieces_.count_of({0, 8}, 31), 4U);
  EXPECT_EQ(pieces_.count_of({0, 8}, 132), 6U);
  EXPECT_EQ(pieces_.count_of({0, 8}, 1000), 8U);
  EXPECT_EQ(pieces_.count_of({5, 2}, 1000), 2U);
  EXPECT_EQ(pieces_.count_of({5, 0}, 1000), 0U);
}

TEST_F(HeldPiecesTest, LetsGoOfWhatIsDone) {
  constexpr std::uint64_t kEnd = 8;  // bytes that say where an element ends
  EXPECT_EQ(pieces_.held_bytes(), 9 + 7 * kEnd);
  pieces_.drop({4, 4});
  EXPECT_EQ(pieces_.held_bytes(), 5 + 3 * kEnd);
  pieces_.drop({0, 2});
  EXPECT_EQ(pieces_.held_bytes(), 5 + 3 * kEnd);
  EXPECT_EQ(bytes({2, 2}), "cDD");
  pieces_.drop({2, 1});
  EXPECT_EQ(pieces_.held_bytes(), 2U);
  EXPECT_EQ(pieces_.name_of(2), "");
  pieces_.drop({3, 1});
  EXPECT_EQ(pieces_.held_bytes(), 0U);
  pieces_.add(piece("i", 1));
  EXPECT_EQ(bytes({8, 1}), "i");
}

}  // namespace
}  // namespace bulkhead::detail
