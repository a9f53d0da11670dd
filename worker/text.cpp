// SPDX-License-Identifier: MIT
#include <bulkhead/text.hpp>

#include <algorithm>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace bulkhead::detail {
namespace {

constexpr std::size_t kBlock = 64;

bool is_white_space(char byte) {
  return byte == ' ' || (byte >= '\t' && byte <= '\r');
}

using MarkBlocks = void (*)(const char* text, std::size_t blocks, std::uint64_t* marks);

[[maybe_unused]] void mark_plainly(const char* text, std::size_t blocks, std::uint64_t* marks) {
  for (std::size_t block = 0; block < blocks; ++block) {
    std::uint64_t mark = 0;
    for (std::size_t i = 0; i < kBlock; ++i) {
      mark |= std::uint64_t{is_white_space(text[block * kBlock + i])} << i;
    }
    marks[block] = mark;
  }
}

#if defined(__x86_64__)

/// 16 bytes; every x86-64 has this.
std::uint64_t marks_of_16(const char* text) {
  const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(text));
  const __m128i from_tab = _mm_sub_epi8(bytes, _mm_set1_epi8('\t'));
  const __m128i control =
      _mm_cmpeq_epi8(_mm_min_epu8(from_tab, _mm_set1_epi8('\r' - '\t')), from_tab);
  const __m128i blank = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(' '));
  return static_cast<std::uint32_t>(_mm_movemask_epi8(_mm_or_si128(control, blank)));
}
void mark_by_16(const char* text, std::size_t blocks, std::uint64_t* marks) {
  for (std::size_t block = 0; block < blocks; ++block, text += kBlock) {
    marks[block] = marks_of_16(text) | marks_of_16(text + 16) << 16 | marks_of_16(text + 32) << 32 |
                   marks_of_16(text + 48) << 48;
  }
}

__attribute__((target("avx2"))) std::uint64_t marks_of_32(const char* text) {
  const __m256i bytes = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(text));
  const __m256i from_tab = _mm256_sub_epi8(bytes, _mm256_set1_epi8('\t'));
  const __m256i control =
      _mm256_cmpeq_epi8(_mm256_min_epu8(from_tab, _mm256_set1_epi8('\r' - '\t')), from_tab);
  const __m256i blank = _mm256_cmpeq_epi8(bytes, _mm256_set1_epi8(' '));
  return static_cast<std::uint32_t>(_mm256_movemask_epi8(_mm256_or_si256(control, blank)));
}
__attribute__((target("avx2"))) void mark_by_32(const char* text, std::size_t blocks,
                                                std::uint64_t* marks) {
  for (std::size_t block = 0; block < blocks; ++block, text += kBlock) {
    marks[block] = marks_of_32(text) | marks_of_32(text + 32) << 32;
  }
}

__attribute__((target("avx512bw"))) void mark_by_64(const char* text, std::size_t blocks,
                                                    std::uint64_t* marks) {
  for (std::size_t block = 0; block < blocks; ++block, text += kBlock) {
    const __m512i bytes = _mm512_loadu_si512(text);
    const __m512i from_tab = _mm512_sub_epi8(bytes, _mm512_set1_epi8('\t'));
    marks[block] = _mm512_cmple_epu8_mask(from_tab, _mm512_set1_epi8('\r' - '\t')) |
                   _mm512_cmpeq_epi8_mask(bytes, _mm512_set1_epi8(' '));
  }
}

MarkBlocks best() {
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx512bw")) return &mark_by_64;
  if (__builtin_cpu_supports("avx2")) return &mark_by_32;
  return &mark_by_16;
}

#else

MarkBlocks best() {
  return &mark_plainly;
}

#endif

}  // namespace

void mark_white_space(const char* text, std::size_t size, std::uint64_t* marks) {
  static const MarkBlocks mark_blocks = best();
  const std::size_t blocks = size / kBlock;
  mark_blocks(text, blocks, marks);
  std::array<char, kBlock> rest;
  const std::size_t left = size - blocks * kBlock;
  std::copy_n(text + blocks * kBlock, left, rest.begin());
  std::fill(rest.begin() + static_cast<std::ptrdiff_t>(left), rest.end(), ' ');
  mark_blocks(rest.data(), 1, marks + blocks);
}

}  // namespace bulkhead::detail
