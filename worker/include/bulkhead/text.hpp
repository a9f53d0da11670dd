// SPDX-License-Identifier: MIT
//
// The words and the lines of a text, for mappers: views of it, no copies.
//
//   for (std::string_view word : bulkhead::words(text)) emit(word, 1);
//
// Words are found 64 bytes at a time, by what the CPU that runs this has for it.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <iterator>
#include <string_view>
#include <utility>

namespace bulkhead {
namespace detail {

/// Bit i % 64 of marks[i / 64] says whether byte i is white space, for size / 64 + 1 marks; so are
/// bytes behind the end.
void mark_white_space(const char* text, std::size_t size, std::uint64_t* marks);

}  // namespace detail

/// What is between white space (blank, \t \n \v \f \r, as isspace() has it in the C locale): never
/// empty. To be gone through once. The text must outlive it.
class Words {
 public:
  explicit Words(std::string_view text) : at_(text.data()), end_(text.data() + text.size()) {}

  class iterator {
   public:
    using iterator_concept = std::input_iterator_tag;
    using difference_type = std::ptrdiff_t;
    using value_type = std::string_view;

    iterator() = default;
    std::string_view operator*() const {
      return {word_, static_cast<std::size_t>(word_end_ - word_)};
    }
    iterator& operator++() {
      find();
      return *this;
    }
    void operator++(int) { find(); }
    bool operator==(std::default_sentinel_t) const { return word_ == nullptr; }

   private:
    friend class Words;
    explicit iterator(Words& words) : words_(&words), start_(words.at_), base_(words.at_) {
      find();
    }

    void find() {
      for (;;) {
        while (mark_ != 0) {
          const char* const space = base_ + std::countr_zero(mark_);
          mark_ &= mark_ - 1;
          const char* const start = std::exchange(start_, space + 1);
          if (start < space) {
            word_ = start;
            word_end_ = space;
            return;
          }
        }
        if (next_ == count_ && !look_further()) {
          word_ = nullptr;
          return;
        }
        base_ = words_->base_ + 64 * next_;
        mark_ = words_->marks_[next_++];
      }
    }
    bool look_further() {
      count_ = words_->look_further();
      next_ = 0;
      return count_ != 0;
    }

    Words* words_ = nullptr;
    const char* word_ = nullptr;
    const char* word_end_ = nullptr;
    const char* start_ = nullptr;  ///< of the word that is being looked at
    const char* base_ = nullptr;   ///< of the bytes that `mark_` is about
    std::uint64_t mark_ = 0;
    std::size_t next_ = 0;
    std::size_t count_ = 0;
  };

  iterator begin() { return iterator(*this); }
  [[nodiscard]] std::default_sentinel_t end() const { return {}; }

 private:
  static constexpr std::size_t kMarks = 64;

  /// Marks the next bytes, and one beyond the last ones; how many marks that are.
  std::size_t look_further() {
    if (at_ == nullptr) return 0;
    base_ = at_;
    const auto left = static_cast<std::size_t>(end_ - at_);
    if (left >= 64 * kMarks) {
      detail::mark_white_space(at_, 64 * kMarks, marks_.data());
      at_ += 64 * kMarks;
      return kMarks;
    }
    detail::mark_white_space(at_, left, marks_.data());
    at_ = nullptr;
    return left / 64 + 1;
  }

  const char* at_;  ///< what comes next; null: nothing does
  const char* end_;
  const char* base_ = nullptr;  ///< of the bytes that `marks_` are about
  std::array<std::uint64_t, kMarks + 1> marks_;
};
[[nodiscard]] inline Words words(std::string_view text) {
  return Words(text);
}

/// What is between line ends, which do not belong to it; after the last one comes no empty line.
/// Lines end in \n or \r\n, or in another delimiter. To be gone through as often as wanted. The
/// text must outlive it.
class Lines {
 public:
  explicit Lines(std::string_view text, char delimiter = '\n')
      : text_(text), delimiter_(delimiter) {}

  class iterator {
   public:
    using iterator_concept = std::forward_iterator_tag;
    using difference_type = std::ptrdiff_t;
    using value_type = std::string_view;

    iterator() = default;
    std::string_view operator*() const {
      const bool has_return = delimiter_ == '\n' && line_end_ != at_ && line_end_[-1] == '\r';
      return {at_, static_cast<std::size_t>(line_end_ - at_) - (has_return ? 1 : 0)};
    }
    iterator& operator++() {
      at_ = line_end_ == end_ ? end_ : line_end_ + 1;
      find();
      return *this;
    }
    iterator operator++(int) {
      iterator before = *this;
      ++*this;
      return before;
    }
    bool operator==(const iterator& other) const { return at_ == other.at_; }
    bool operator==(std::default_sentinel_t) const { return at_ == end_; }

   private:
    friend class Lines;
    iterator(std::string_view text, char delimiter)
        : at_(text.data()), end_(text.data() + text.size()), delimiter_(delimiter) {
      find();
    }
    void find() {
      if (at_ == end_) return;
      const void* found = std::memchr(at_, delimiter_, static_cast<std::size_t>(end_ - at_));
      line_end_ = found != nullptr ? static_cast<const char*>(found) : end_;
    }

    const char* at_ = nullptr;
    const char* line_end_ = nullptr;
    const char* end_ = nullptr;
    char delimiter_ = '\n';
  };

  [[nodiscard]] iterator begin() const { return {text_, delimiter_}; }
  [[nodiscard]] std::default_sentinel_t end() const { return {}; }

 private:
  std::string_view text_;
  char delimiter_;
};
[[nodiscard]] inline Lines lines(std::string_view text, char delimiter = '\n') {
  return Lines(text, delimiter);
}

}  // namespace bulkhead
