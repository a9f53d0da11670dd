// SPDX-License-Identifier: MIT
//
// Arrays as inputs, a block at a time: in files, which workers map, and in memory.
//
//   const double squares = pool.map_reduce(mapped<double>("samples.bin"),
//       [](std::span<const double> block) { return sum_of_squares(block); }, std::plus<>{}, 0.0);
#pragma once

#include <bulkhead/codec.hpp>
#include <bulkhead/detail/file_piece.hpp>
#include <bulkhead/error.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace bulkhead {
namespace detail {

/// A file in the memory of this process, read-only.
class FileMapping {
 public:
  /// Throws SystemError; and Error if the file is not what it was.
  explicit FileMapping(const FilePiece& file);
  FileMapping(const FileMapping&) = delete;
  FileMapping& operator=(const FileMapping&) = delete;
  ~FileMapping();
  /// The one of that file, which this thread keeps until it is asked for another. The same.
  static std::shared_ptr<const FileMapping> of(const FilePiece& file);

  /// They are brought in, as far as they are not there. Throws Error if the file has changed.
  [[nodiscard]] const std::byte* bytes(std::uint64_t offset, std::uint64_t size) const;

 private:
  const FilePiece file_;
  const std::byte* data_ = nullptr;
};

inline constexpr std::size_t kArrayBlockBytes = std::size_t{1} << 20;

template <class T>
inline constexpr std::size_t kArrayBlock = std::max<std::size_t>(kArrayBlockBytes / sizeof(T), 1);

}  // namespace detail

/// Some consecutive elements of an array: of a file, which is mapped when they are asked for
/// (throws SystemError, and Error if it has changed), or of memory. They lie one behind the other:
/// whoever wants a std::span<const T> can be given a block. One thread at a time.
template <class T>
class Block {
  static_assert(std::is_trivially_copyable_v<T>,
                "bulkhead: elements of blocks have to be trivially copyable");

 public:
  Block() = default;
  Block(std::shared_ptr<const detail::FilePiece> file, std::uint64_t first, std::uint64_t size)
      : file_(std::move(file)), first_(first), size_(size) {}
  Block(std::span<const T> elements, std::uint64_t first)
      : first_(first), size_(elements.size()), elements_(elements) {}

  [[nodiscard]] std::size_t size() const { return static_cast<std::size_t>(size_); }
  /// Index in the array of its first element.
  [[nodiscard]] std::uint64_t first() const { return first_; }
  [[nodiscard]] const T* begin() const { return elements().data(); }
  [[nodiscard]] const T* end() const { return begin() + size(); }
  const T& operator[](std::size_t index) const { return elements()[index]; }
  /// Of input, for jobs that divide it by those.
  [[nodiscard]] std::uint64_t input_bytes() const { return size_ * sizeof(T); }

 private:
  friend struct Codec<Block>;

  std::span<const T> elements() const {
    if (file_ && !owner_) {
      const auto mapping = detail::FileMapping::of(*file_);
      const std::byte* const data = mapping->bytes(first_ * sizeof(T), size_ * sizeof(T));
      elements_ = {reinterpret_cast<const T*>(data), size()};
      owner_ = mapping;
    }
    return elements_;
  }

  std::shared_ptr<const detail::FilePiece> file_;
  std::uint64_t first_ = 0;
  std::uint64_t size_ = 0;
  mutable std::span<const T> elements_;
  mutable std::shared_ptr<const void> owner_;  ///< of the elements, if that is not somebody else
};

template <class T>
struct Codec<Block<T>> {
  static void encode(const Block<T>& block, ByteWriter& out) {
    out.put(block.first_);
    out.put(block.size_);
    Codec<bool>::encode(block.file_ != nullptr, out);
    if (block.file_) return Codec<detail::FilePiece>::encode(*block.file_, out);
    out.write(block.elements_.data(), block.elements_.size_bytes());
  }
  static Block<T> decode(ByteReader& in) {
    Block<T> block;
    block.first_ = in.get<std::uint64_t>();
    block.size_ = in.get<std::uint64_t>();
    if (Codec<bool>::decode(in)) {
      block.file_ = std::make_shared<const detail::FilePiece>(Codec<detail::FilePiece>::decode(in));
      static_cast<void>(block.elements());  // so that a file that has changed fails here
    } else {
      in.expect(block.size_, sizeof(T));
      auto elements = std::make_shared<std::vector<T>>(block.size());
      in.read(elements->data(), elements->size() * sizeof(T));
      block.elements_ = *elements;
      block.owner_ = std::move(elements);
    }
    return block;
  }
};

/// The blocks of an array: see mapped() and blocks().
template <class T>
class Blocks {
 public:
  Blocks(std::shared_ptr<const detail::FilePiece> file, std::uint64_t size, std::size_t each)
      : file_(std::move(file)), size_(size), each_(each) {}
  Blocks(std::span<const T> elements, std::size_t each)
      : elements_(elements), size_(elements.size()), each_(each) {}

  class iterator {
   public:
    using iterator_concept = std::forward_iterator_tag;
    using iterator_category = std::input_iterator_tag;
    using difference_type = std::ptrdiff_t;
    using value_type = Block<T>;
    using reference = Block<T>;

    iterator() = default;
    Block<T> operator*() const { return blocks_->at(first_); }
    iterator& operator++() {
      first_ += std::min<std::uint64_t>(blocks_->each_, blocks_->size_ - first_);
      return *this;
    }
    iterator operator++(int) {
      iterator before = *this;
      ++*this;
      return before;
    }
    bool operator==(const iterator& other) const { return first_ == other.first_; }

   private:
    friend class Blocks;
    iterator(const Blocks& blocks, std::uint64_t first) : blocks_(&blocks), first_(first) {}
    const Blocks* blocks_ = nullptr;
    std::uint64_t first_ = 0;
  };

  [[nodiscard]] iterator begin() const { return {*this, 0}; }
  [[nodiscard]] iterator end() const { return {*this, size_}; }
  [[nodiscard]] std::size_t size() const {
    return static_cast<std::size_t>((size_ + each_ - 1) / each_);
  }

 private:
  [[nodiscard]] Block<T> at(std::uint64_t first) const {
    const std::uint64_t size = std::min<std::uint64_t>(each_, size_ - first);
    if (file_) return {file_, first, size};
    return {elements_.subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(size)),
            first};
  }

  std::shared_ptr<const detail::FilePiece> file_;
  std::span<const T> elements_;
  std::uint64_t size_;
  std::size_t each_;
};

/// The elements that a file is an array of, as a range of blocks (a megabyte each, if nothing is
/// said), for any call that takes a range: its function gets a std::span<const T>. Workers map the
/// file; nothing of it travels. Throws SystemError; InvalidArgument if the file ends in the midst
/// of an element, or `each` is 0.
template <class T>
[[nodiscard]] Blocks<T> mapped(const std::string& path, std::size_t each = detail::kArrayBlock<T>) {
  auto file = std::make_shared<const detail::FilePiece>(detail::whole_file(path, "mapped"));
  if (file->size % sizeof(T) != 0)
    throw InvalidArgument("bulkhead: mapped(): " + path + " has " + std::to_string(file->size) +
                          " bytes, which is no multiple of " + std::to_string(sizeof(T)));
  if (each == 0) throw InvalidArgument("bulkhead: mapped(): blocks of 0 elements");
  const std::uint64_t size = file->size / sizeof(T);
  return {std::move(file), size, each};
}

/// The elements of an array in memory likewise, which must outlive the range. They are sent.
template <class T>
[[nodiscard]] Blocks<T> blocks(std::span<const T> elements,
                               std::size_t each = detail::kArrayBlock<T>) {
  if (each == 0) throw InvalidArgument("bulkhead: blocks(): blocks of 0 elements");
  return {elements, each};
}
template <class T>
[[nodiscard]] Blocks<T> blocks(const std::vector<T>& elements,
                               std::size_t each = detail::kArrayBlock<T>) {
  return blocks(std::span<const T>(elements), each);
}

}  // namespace bulkhead
