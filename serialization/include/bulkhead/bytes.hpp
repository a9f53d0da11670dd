// SPDX-License-Identifier: MIT
//
// Where encoded bytes go and where they come from: the two ends a Codec<T> talks to.
// The fast path is a copy into or out of contiguous memory, mostly a ring; what happens at its end
// (grow on the heap, send a piece and wait, fail) is the business of the derived class.
// Not thread-safe; one message, one thread.
#pragma once

#if !defined(__cpp_concepts)
#error "bulkhead needs C++20: compile with -std=c++20 or later"
#endif

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <memory>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

namespace bulkhead {
namespace detail {

/// Deepest nesting of objects in one value (a chain of unique_ptr is as deep as it is long), and
/// the most stack that it may take.
inline constexpr int kMaxNesting = 4096;
inline constexpr std::uintptr_t kMaxNestingBytes = std::uintptr_t{2} << 20;

/// What codecs keep while a message lasts: how deep they are in it, and what they remember.
class MessageState {
 public:
  struct Memo {
    virtual ~Memo() = default;
  };

  /// One object deeper. False if no value may nest as deep.
  [[nodiscard]] bool enter() {
    const auto here = reinterpret_cast<std::uintptr_t>(__builtin_frame_address(0));
    if (depth_ == 0) stack_ = here;
    const std::uintptr_t used = stack_ > here ? stack_ - here : here - stack_;
    return ++depth_ <= kMaxNesting && used <= kMaxNestingBytes;
  }
  void leave() { --depth_; }

  /// Kept until the message ends; null at its beginning. For cereal's archives.
  std::unique_ptr<Memo> memo;

 private:
  int depth_ = 0;
  std::uintptr_t stack_ = 0;  ///< where it was at the outermost object
};

}  // namespace detail

/// Takes the bytes of one encoded value, in order.
class ByteWriter {
 public:
  ByteWriter(const ByteWriter&) = delete;
  ByteWriter& operator=(const ByteWriter&) = delete;

  /// Appends `size` bytes, copied from `data` before the call returns.
  void write(const void* data, std::size_t size) {
    if (size > static_cast<std::size_t>(end_ - at_)) [[unlikely]] {
      write_slow(static_cast<const std::byte*>(data), size);
    } else if (size != 0) {
      std::memcpy(at_, data, size);
      at_ += size;
    }
  }

  /// Appends the object representation of a trivially copyable value.
  template <class T>
    requires std::is_trivially_copyable_v<T>
  void put(const T& value) { write(&value, sizeof value); }

  [[nodiscard]] detail::MessageState& state() { return state_; }

 protected:
  ByteWriter() = default;
  ~ByteWriter() = default;

  /// Takes `size` bytes that do not fit into [at_, end_).
  virtual void write_slow(const std::byte* data, std::size_t size) = 0;

  std::byte* at_ = nullptr;
  std::byte* end_ = nullptr;

 private:
  detail::MessageState state_;
};

/// Gives the bytes of one encoded value, in order. What a size read from it claims must be held
/// against `expect()` before memory is allocated for it.
class ByteReader {
 public:
  ByteReader(const ByteReader&) = delete;
  ByteReader& operator=(const ByteReader&) = delete;

  /// Copies the next `size` bytes to `out`. Throws DecodeError if there are fewer.
  void read(void* out, std::size_t size) {
    if (size > available()) [[unlikely]] {
      read_slow(static_cast<std::byte*>(out), size);
    } else if (size != 0) {
      std::memcpy(out, at_, size);
      at_ += size;
    }
  }

  /// The next sizeof(T) bytes as a value.
  template <class T>
    requires std::is_trivially_copyable_v<T> T get() {
      T value;
      read(&value, sizeof value);
      return value;
    }

  /// The next `size` bytes, of which all must be available(), where they are. Not for long: the
  /// next read may do away with them.
  const std::byte* take(std::size_t size) { return std::exchange(at_, at_ + size); }

  /// Throws DecodeError unless `count` elements of at least `bytes_each` (1 or more) can still
  /// come.
  void expect(std::uint64_t count, std::size_t bytes_each) const;

  /// True if nothing is left to read.
  [[nodiscard]] bool exhausted() { return at_ == end_ && !more(); }

  /// Bytes that can be read without waiting.
  [[nodiscard]] std::size_t available() const { return static_cast<std::size_t>(end_ - at_); }

  [[nodiscard]] detail::MessageState& state() { return state_; }

 protected:
  ByteReader() = default;
  ~ByteReader() = default;

  /// Bytes that can still come, those in [at_, end_) included; an upper bound.
  [[nodiscard]] virtual std::uint64_t remaining() const { return available(); }
  /// Replaces the used-up [at_, end_) by the next piece of the message; false at its end.
  virtual bool more() { return false; }

  const std::byte* at_ = nullptr;
  const std::byte* end_ = nullptr;

 private:
  void read_slow(std::byte* out, std::size_t size);

  detail::MessageState state_;
};

/// Reads from memory that must outlive the reader.
class SpanReader final : public ByteReader {
 public:
  explicit SpanReader(std::span<const std::byte> bytes) {
    at_ = bytes.data();
    end_ = bytes.data() + bytes.size();
  }
};

namespace detail {

/// Writes into given memory and, once that is full, moves everything to the heap.
class SpillWriter final : public ByteWriter {
 public:
  explicit SpillWriter(std::span<std::byte> memory) : begin_(memory.data()) {
    at_ = memory.data();
    end_ = memory.data() + memory.size();
  }

  [[nodiscard]] std::size_t size() const { return static_cast<std::size_t>(at_ - begin_); }
  /// True if the bytes did not fit: they are in take(), not in the given memory.
  [[nodiscard]] bool spilled() const { return !heap_.empty(); }
  /// The spilled bytes.
  [[nodiscard]] std::vector<std::byte> take();

 private:
  void write_slow(const std::byte* data, std::size_t size) override;

  std::byte* begin_;
  std::vector<std::byte> heap_;
};

}  // namespace detail
}  // namespace bulkhead
