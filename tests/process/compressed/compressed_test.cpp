// SPDX-License-Identifier: MIT
//
// Compressed texts: every line once, wherever frames and lines end.
#include "tests/support/keyed.hpp"
#include "tests/support/thrown.hpp"
#include <bulkhead/by_key.hpp>
#include <bulkhead/gzip.hpp>
#include <bulkhead/lz4.hpp>
#include <bulkhead/pool.hpp>
#include <bulkhead/zstd.hpp>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <lz4frame.h>
#include <string>
#include <zlib.h>
#include <zstd.h>

#include <gmock/gmock.h>

namespace bulkhead {
namespace {

using test::count_plainly;
using test::count_words;
using test::Counts;
using test::random_text;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::string gzip(const std::string& text) {
  z_stream state{};
  EXPECT_EQ(deflateInit2(&state, 6, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY), Z_OK);
  std::string packed(deflateBound(&state, text.size()), '\0');
  state.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  state.avail_in = static_cast<uInt>(text.size());
  state.next_out = reinterpret_cast<Bytef*>(packed.data());
  state.avail_out = static_cast<uInt>(packed.size());
  EXPECT_EQ(deflate(&state, Z_FINISH), Z_STREAM_END);
  packed.resize(state.total_out);
  deflateEnd(&state);
  return packed;
}
std::string zstd(const std::string& text) {
  std::string packed(ZSTD_compressBound(text.size()), '\0');
  packed.resize(ZSTD_compress(packed.data(), packed.size(), text.data(), text.size(), 1));
  return packed;
}
std::string lz4(const std::string& text) {
  LZ4F_preferences_t checked{};
  checked.frameInfo.contentChecksumFlag = LZ4F_contentChecksumEnabled;
  checked.frameInfo.blockChecksumFlag = LZ4F_blockChecksumEnabled;
  std::string packed(LZ4F_compressFrameBound(text.size(), &checked), '\0');
  packed.resize(
      LZ4F_compressFrame(packed.data(), packed.size(), text.data(), text.size(), &checked));
  return packed;
}
/// A frame for each so many bytes.
template <class Pack>
std::string in_frames(const std::string& text, std::size_t size, Pack pack) {
  std::string all;
  for (std::size_t at = 0; at < text.size(); at += size) all += pack(text.substr(at, size));
  return all;
}
/// A frame that is no data, as zstd and lz4 have them.
std::string skippable() {
  return std::string("\x50\x2A\x4D\x18\x03\x00\x00\x00", 8) + "abc";
}

class CompressedTest : public test::KeyedTest {};

TEST_F(CompressedTest, EachLineIsOfOnePartWhereverFramesEnd) {
  const std::string content = random_text(60'000);
  const Counts expected = count_plainly(content);
  Pool pool(2);
  for (const std::size_t size : {std::size_t{1}, std::size_t{7}, std::size_t{100},
                                 std::size_t{4096}, std::size_t{100'000}}) {
    const std::string text = size == 1 ? content.substr(0, 3000) : content;
    const Counts all = size == 1 ? count_plainly(text) : expected;
    const TextOptions options{.split = 1000};
    EXPECT_EQ(count_words(pool, gzip_text(write("a.gz", in_frames(text, size, gzip)), options)),
              all)
        << size;
    EXPECT_EQ(count_words(pool, zstd_text(write("a.zst", in_frames(text, size, zstd)), options)),
              all)
        << size;
    EXPECT_EQ(count_words(pool, lz4_text(write("a.lz4", in_frames(text, size, lz4)), options)), all)
        << size;
  }
}

TEST_F(CompressedTest, FilesAreDividedBetweenFrames) {
  const std::string content = random_text(400'000);
  const std::uint64_t frames = (content.size() + 49'999) / 50'000;
  Pool pool(2);
  const std::string zstd_path = write("a.zst", in_frames(content, 50'000, zstd));
  auto counts = pool.map_reduce_by_key<std::string, std::uint64_t>(
      zstd_text(zstd_path, {.split = 1}), test::kCountWords, sum);
  EXPECT_EQ(counts.stats().pieces, frames);
  EXPECT_EQ(counts.stats().input_bytes, std::filesystem::file_size(zstd_path));
  auto lz4_counts = pool.map_reduce_by_key<std::string, std::uint64_t>(
      lz4_text(write("a.lz4", in_frames(content, 50'000, lz4)), {.split = 1}), test::kCountWords,
      sum);
  EXPECT_EQ(lz4_counts.stats().pieces, frames);
}

TEST_F(CompressedTest, FramesWithoutDataAreSkippedAndEmptyFilesHaveNoLines) {
  Pool pool(2);
  const Counts expected{{"a", 2}, {"b", 1}};
  const std::string frames = skippable() + zstd("a b\na") + skippable() + zstd("");
  EXPECT_EQ(count_words(pool, zstd_text(write("a.zst", frames), {.split = 1})), expected);
  const std::string lz4_frames = lz4("a b\n") + skippable() + lz4("a");
  EXPECT_EQ(count_words(pool, lz4_text(write("a.lz4", lz4_frames), {.split = 1})), expected);
  EXPECT_THAT(count_words(pool, gzip_text(write("empty.gz", ""))), IsEmpty());
  EXPECT_THAT(count_words(pool, zstd_text(write("empty.zst", zstd("")))), IsEmpty());
}

TEST_F(CompressedTest, SeveralPatternsCanBeGiven) {
  Pool pool(1);
  const Counts expected{{"a", 2}, {"b", 2}};
  const std::string a = write("a.gz", gzip("a b"));
  const std::string b = write("b.gz", gzip("b a"));
  EXPECT_EQ(count_words(pool, gzip_text({a, b})), expected);
  EXPECT_EQ(
      count_words(pool, zstd_text({write("a.zst", zstd("a b")), write("b.zst", zstd("b a"))})),
      expected);
  EXPECT_EQ(count_words(pool, lz4_text({write("a.lz4", lz4("a b")), write("b.lz4", lz4("b a"))})),
            expected);
}

TEST_F(CompressedTest, GzipFilesMayBeFilledUpWithZeros) {
  Pool pool(1);
  const std::string zeros(100'000, '\0');
  const Counts expected{{"a", 2}, {"b", 1}};
  EXPECT_EQ(count_words(pool, gzip_text(write("1.gz", gzip("a b\na") + zeros))), expected);
  EXPECT_EQ(count_words(pool, gzip_text(write("2.gz", gzip("a\n") + gzip("b a") + zeros))),
            expected);
  EXPECT_THAT(test::text_of<std::exception>(
                  [&] { count_words(pool, gzip_text(write("3.gz", zeros + gzip("a")))); }),
              HasSubstr("3.gz is damaged"));
}

TEST_F(CompressedTest, DamagedFilesAreErrorsThatNameThem) {
  Pool pool(1);
  const std::string content = random_text(300'000);
  const auto error_of = [&](const auto& input) {
    try {
      (void)count_words(pool, input);
    } catch (const std::exception& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  const std::string packed = gzip(content);
  EXPECT_THAT(error_of(gzip_text(write("cut.gz", packed.substr(0, packed.size() / 2)))),
              HasSubstr("while reading the input: bulkhead: " + (folder_ / "cut.gz").string() +
                        " is damaged: it ends at byte"));
  std::string changed = packed;
  changed[packed.size() / 2] = static_cast<char>(~changed[packed.size() / 2]);
  EXPECT_THAT(error_of(gzip_text(write("changed.gz", changed))),
              HasSubstr("changed.gz is damaged"));
  EXPECT_THAT(error_of(gzip_text(write("plain.gz", content))),
              AllOf(HasSubstr("plain.gz is damaged"), HasSubstr("or not compressed so")));
  EXPECT_THAT(error_of(zstd_text(write("plain.zst", content))), HasSubstr("plain.zst is damaged"));
  EXPECT_THAT(error_of(lz4_text(write("plain.lz4", content))), HasSubstr("plain.lz4 is damaged"));
  const std::string frame = zstd(content);
  EXPECT_THAT(error_of(zstd_text(write("cut.zst", frame.substr(0, frame.size() - 100)))),
              HasSubstr("cut.zst is damaged"));
  EXPECT_EQ(count_words(pool, gzip_text(write("whole.gz", packed))), count_plainly(content));
}

TEST_F(CompressedTest, TextSaysWhoReadsCompressedFiles) {
  EXPECT_THAT(test::text_of<InvalidArgument>([&] { (void)text(write("a.gz", gzip("a"))); }),
              HasSubstr("a.gz is compressed: gzip_text() of <bulkhead/gzip.hpp> reads it"));
}

}  // namespace
}  // namespace bulkhead
