// SPDX-License-Identifier: MIT
//
// What keyed jobs read: every line, record, file and element once.
#include "tests/support/keyed.hpp"
#include "tests/support/numbers.hpp"
#include "tests/support/thrown.hpp"
#include <bulkhead/by_key.hpp>
#include <bulkhead/pool.hpp>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gmock/gmock.h>

namespace bulkhead {
namespace {

using test::count_plainly;
using test::count_words;
using test::Counts;
using test::kCountWords;
using test::map_of;
using test::random_text;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class KeyedInputTest : public test::KeyedTest {};

TEST_F(KeyedInputTest, EachLineIsOfOneSplitWhereverTheSplitsBegin) {
  const std::string content = random_text(20'000);
  const std::string path = write("text", content);
  Pool pool(2);
  for (const std::uint64_t split : {1U, 7U, 100U, 4096U, 19'999U, 1'000'000U}) {
    EXPECT_EQ(count_words(pool, text(path, {.split = split})), count_plainly(content)) << split;
  }
}

TEST_F(KeyedInputTest, TextsMayBeEmptyOrOneLongLine) {
  Pool pool(2);
  EXPECT_THAT(count_words(pool, text(write("empty", ""))), IsEmpty());
  EXPECT_THAT(count_words(pool, text(write("feeds", "\n\n\r\n"))), IsEmpty());
  const std::string line = std::string(3'000'000, 'x') + " y";
  EXPECT_EQ(count_words(pool, text(write("line", line), {.split = 100'000})),
            (Counts{{std::string(3'000'000, 'x'), 1}, {"y", 1}}));
}

TEST_F(KeyedInputTest, ReadsAllFilesOfAPattern) {
  write("a.txt", "one two");
  write("b.txt", "two three");
  write("c.log", "four");
  Pool pool(2);
  EXPECT_EQ(count_words(pool, text(folder_ / "*.txt")),
            (Counts{{"one", 1}, {"two", 2}, {"three", 1}}));
  EXPECT_THAT(test::text_of<SystemError>([&] { (void)text(folder_ / "*.none"); }),
              HasSubstr("nothing matches the pattern"));
  EXPECT_THAT(test::text_of<SystemError>([&] { (void)text(folder_ / "d.txt"); }),
              HasSubstr("there is no file"));
}

TEST_F(KeyedInputTest, AFileThatDoesNotSayHowLargeItIsIsRefused) {
  EXPECT_THAT(test::text_of<InvalidArgument>([] { (void)text("/proc/self/status"); }),
              HasSubstr("read it as a stream"));
}

TEST_F(KeyedInputTest, ReadsRanges) {
  Pool pool(2);
  const auto by_rest = [](int x, auto& emit) { emit(x % 7); };
  auto counts = pool.map_reduce_by_key<int, std::uint64_t>(test::numbers(0, 100'000), by_rest, sum);
  std::map<int, std::uint64_t> expected;
  for (int x = 0; x < 100'000; ++x) ++expected[x % 7];
  EXPECT_EQ(map_of(counts), expected);
  auto none = pool.map_reduce_by_key<int, std::uint64_t>(std::vector<int>{}, by_rest, sum);
  EXPECT_THAT(map_of(none), IsEmpty());
}

TEST_F(KeyedInputTest, LinesMayEndInAnotherByte) {
  const std::string path = write("names", std::string("b c\0a\0\0b c", 10));
  Pool pool(2);
  const auto by_line = [](std::string_view some, auto& emit) {
    for (const std::string_view line : lines(some, '\0')) emit(line);
  };
  for (const std::uint64_t split : {1U, 3U, 100U}) {
    auto counts = pool.map_reduce_by_key<std::string, int>(
        text(path, {.split = split, .delimiter = '\0'}), by_line, sum);
    EXPECT_EQ(map_of(counts), (std::map<std::string, int>{{"", 1}, {"a", 1}, {"b c", 2}})) << split;
  }
}

TEST_F(KeyedInputTest, ALineThatIsTooLongIsAnError) {
  const std::string path = write("line", "a b\n" + std::string(3'000'000, 'x'));
  Pool pool(2);
  const TextInput input = text(path, {.split = 100'000, .longest_line = 1'000'000});
  EXPECT_THAT(test::text_of<RemoteError>([&] { (void)count_words(pool, input); }),
              HasSubstr("line has a line of more than 1000000 bytes at byte 4: see"));
  EXPECT_EQ(count_words(pool, text(write("short", "a b"))), (Counts{{"a", 1}, {"b", 1}}));
}

TEST_F(KeyedInputTest, AFileMayHaveANameThatLooksLikeAPattern) {
  write("a[1].txt", "one");
  write("a1.txt", "two");
  Pool pool(1);
  EXPECT_EQ(count_words(pool, text(folder_ / "a[1].txt")), (Counts{{"one", 1}}));
}

TEST_F(KeyedInputTest, ReadsAStream) {
  const std::string content = random_text(300'000);
  Pool pool(2);
  for (const std::uint64_t split : {10U, 1000U, 1'000'000U}) {
    std::istringstream stream(content);
    EXPECT_EQ(count_words(pool, text(stream, {.split = split})), count_plainly(content)) << split;
  }
  std::istringstream none;
  EXPECT_THAT(count_words(pool, text(none)), IsEmpty());
  std::istringstream one_line(std::string(100'000, 'x'));
  EXPECT_THAT(test::text_of<Error>([&] {
                (void)count_words(pool, text(one_line, {.split = 10, .longest_line = 1000}));
              }),
              HasSubstr("the stream has a line of more than 1000 bytes"));
}

TEST_F(KeyedInputTest, ReadsWholeFiles) {
  for (int i = 0; i < 100; ++i) write("doc-" + std::to_string(1000 + i), std::to_string(i % 7));
  write("doc-empty", "");
  Pool pool(2);
  const auto by_content = [](const File& file, auto& emit) {
    emit(file.text,
         std::to_string(file.number) + std::string(file.path.substr(file.path.size() - 4)));
  };
  const auto join = [](const std::string&, Values<std::string>& names) {
    std::string all;
    for (const std::string& name : names) all += name + ' ';
    return all;
  };
  auto names = pool.map_reduce_by_key<std::string, std::string>(files(folder_ / "doc-*"),
                                                                by_content, group(join));
  const auto all = map_of(names);
  EXPECT_EQ(all.size(), 8U);
  EXPECT_EQ(all.at(""), "100mpty ");
  EXPECT_EQ(all.at("6").substr(0, 15), "61006 131013 20");
  EXPECT_THAT(test::text_of<InvalidArgument>([&] { (void)files(folder_ / "doc-1000", 0); }),
              HasSubstr("doc-1000 has 1 bytes, more than the largest allowed, 0"));
  EXPECT_THAT(test::text_of<InvalidArgument>([&] { (void)files(folder_); }),
              HasSubstr("is a folder; its files are "));
  EXPECT_THAT(test::text_of<InvalidArgument>([&] { (void)files("/dev/null"); }),
              HasSubstr("is no regular file"));
}

TEST_F(KeyedInputTest, APatternLeavesFoldersOut) {
  write("a", "one two");
  std::filesystem::create_directories(folder_ / "b" / "c");
  Pool pool(1);
  EXPECT_EQ(count_words(pool, text(folder_ / "*")), (Counts{{"one", 1}, {"two", 1}}));
  EXPECT_THAT(test::text_of<SystemError>([&] { (void)text(folder_ / "b" / "*"); }),
              HasSubstr("b/* is the name of folders only"));
}

TEST_F(KeyedInputTest, ReadsRecords) {
  std::string content;
  for (int i = 0; i < 100'000; ++i) {
    content += std::to_string(100 + i % 3);
    content += "......";
  }
  const std::string path = write("records", content);
  Pool pool(2);
  const auto by_name = [](std::string_view record, auto& emit) {
    if (record.size() == 9) emit(record.substr(0, 3));
  };
  auto counts = pool.map_reduce_by_key<std::string, int>(records(path, 9), by_name, sum);
  EXPECT_EQ(map_of(counts),
            (std::map<std::string, int>{{"100", 33'334}, {"101", 33'333}, {"102", 33'333}}));
  EXPECT_THAT(test::text_of<InvalidArgument>([&] { (void)records(path, 7); }),
              HasSubstr("records has 900000 bytes, which is no multiple of 7"));
  EXPECT_THAT(test::text_of<InvalidArgument>([&] { (void)records(path, 0); }),
              HasSubstr("a record has 0 bytes"));
}

TEST_F(KeyedInputTest, TheResultOfOneJobIsTheInputOfAnother) {
  const std::string content = random_text(500'000);
  Pool pool(2);
  auto counts = pool.map_reduce_by_key<std::string, std::uint64_t>(text(write("text", content)),
                                                                   kCountWords, sum);
  const auto by_count = [](const std::pair<std::string, std::uint64_t>& word, auto& emit) {
    emit(word.second);
  };
  auto counts_of_counts =
      pool.map_reduce_by_key<std::uint64_t, std::uint64_t>(counts, by_count, sum);
  std::map<std::uint64_t, std::uint64_t> expected;
  for (const auto& [word, number] : count_plainly(content)) ++expected[number];
  EXPECT_EQ(map_of(counts_of_counts), expected);
  EXPECT_EQ(map_of(counts), count_plainly(content)) << "it is there still";
}
TEST_F(KeyedInputTest, ReadsSeveralPatterns) {
  write("a.txt", "one two");
  write("b.log", "two three");
  Pool pool(2);
  const Counts expected{{"one", 1}, {"two", 2}, {"three", 1}};
  const std::string a = folder_ / "a.txt";
  const std::string b = folder_ / "*.log";
  EXPECT_EQ(count_words(pool, text({a, b})), expected);
  EXPECT_EQ(count_words(pool, text(std::vector<std::string>{a, b})), expected);
  const auto all_words = [](const File& file, auto& emit) {
    for (const std::string_view word : words(file.text)) emit(word);
  };
  auto counts = pool.map_reduce_by_key<std::string, std::uint64_t>(files({a, b}), all_words, sum);
  EXPECT_EQ(map_of(counts), expected);
}

}  // namespace
}  // namespace bulkhead
