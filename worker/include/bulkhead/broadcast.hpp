// SPDX-License-Identifier: MIT
//
// broadcast(x): one read-only copy of x for all processes, in sealed memory without a name. What
// travels to the workers is a few bytes, however large x is.
//
//   const auto table = bulkhead::broadcast(numbers);          // a std::vector<double>: one copy
//   pool.map(bulkhead::partial(score, table), xs);            // a const Broadcast<double[]>& there
//   const auto table = bulkhead::broadcast<double[]>(count, fill);  // fill(all elements): no copy
//
// A Broadcast is a handle, cheap to copy; the memory (and one descriptor of the host) is held until
// the last one in the process that made it is gone. Workers keep the mapping, so that using it
// again costs nothing, and let go of it when they next take up a broadcast or a callable after
// that. A task may make one and return it: its result is not copied then. Thread-safety: as
// std::shared_ptr to a const object.
#pragma once

#include <bulkhead/bytes.hpp>
#include <bulkhead/codec.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <new>
#include <ranges>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

namespace bulkhead {
namespace detail {

/// How another process finds the memory again.
struct BroadcastTicket {
  std::int32_t pid = 0;  ///< of the process that made it
  std::int32_t fd = -1;  ///< its descriptor there; -1: there are no bytes
  std::uint64_t inode = 0;
  std::uint64_t bytes = 0;
};

/// Bytes that nobody can change any more, and a place for what was decoded from them.
struct BroadcastMemory {
  BroadcastTicket ticket;
  std::span<const std::byte> bytes;
  std::shared_ptr<const void> decoded;  ///< of one type only: a ticket is read as it was written
};

/// New memory of `bytes`, filled by `fill`, then sealed. Throws SystemError, and what `fill`
/// throws.
[[nodiscard]] std::shared_ptr<BroadcastMemory> make_broadcast(
    std::uint64_t bytes, const std::function<void(std::span<std::byte>)>& fill);
/// What to send of it.
[[nodiscard]] BroadcastTicket ticket_of(const std::shared_ptr<BroadcastMemory>& memory);
/// The memory of a ticket. Throws DecodeError if there is none, any more or at all.
[[nodiscard]] std::shared_ptr<BroadcastMemory> find_broadcast(const BroadcastTicket& ticket);

/// What can lie in memory that other processes read.
template <class T>
concept Shareable = std::is_trivially_copyable_v<T> && !kRefersElsewhere<T>;

/// A vector, array, span or string of such.
template <class Range>
concept ShareableArray = std::ranges::contiguous_range<const Range> &&
    std::ranges::sized_range<const Range> && Shareable<std::ranges::range_value_t<const Range>>;

/// For broadcast() and the codec.
struct BroadcastAccess {
  template <class Handle>
  static Handle handle(std::shared_ptr<BroadcastMemory> memory) {
    return Handle(std::move(memory));
  }
  template <class Handle>
  static BroadcastTicket ticket(const Handle& handle) {
    return ticket_of(handle.memory_);
  }
};

}  // namespace detail

/// A value that all processes share: *handle. Trivially copyable values are read where they are,
/// others are decoded once in each worker.
template <class T>
class Broadcast {
 public:
  using element_type = const T;

  /// Refers to nothing.
  Broadcast() = default;

  const T& operator*() const { return *value_; }
  const T* operator->() const { return value_.get(); }
  [[nodiscard]] const T* get() const { return value_.get(); }

 private:
  friend struct detail::BroadcastAccess;

  explicit Broadcast(std::shared_ptr<detail::BroadcastMemory> memory)
      : memory_(std::move(memory)), value_(value_in(*memory_)) {}

  std::shared_ptr<const T> value_in(detail::BroadcastMemory& memory) {
    if constexpr (detail::Shareable<T>) {
      if (memory.bytes.size() != sizeof(T)) throw DecodeError("a Broadcast of another type");
      return {memory_, std::launder(reinterpret_cast<const T*>(memory.bytes.data()))};
    } else {
      if (!memory.decoded) {
        SpanReader in(memory.bytes);
        memory.decoded = std::make_shared<const T>(Codec<T>::decode(in));
      }
      return std::static_pointer_cast<const T>(memory.decoded);
    }
  }

  std::shared_ptr<detail::BroadcastMemory> memory_;
  std::shared_ptr<const T> value_;
};

/// An array that all processes share: a read-only range of T, as a std::span is.
template <class T>
class Broadcast<T[]> {
 public:
  using value_type = T;
  using element_type = const T;

  /// An empty array.
  Broadcast() = default;

  [[nodiscard]] const T* data() const { return elements_.data(); }
  [[nodiscard]] std::size_t size() const { return elements_.size(); }
  [[nodiscard]] bool empty() const { return elements_.empty(); }
  const T& operator[](std::size_t i) const { return elements_[i]; }
  [[nodiscard]] auto begin() const { return elements_.begin(); }
  [[nodiscard]] auto end() const { return elements_.end(); }
  operator std::span<const T>() const { return elements_; }  // NOLINT: implicit, as the range it is

 private:
  friend struct detail::BroadcastAccess;

  explicit Broadcast(std::shared_ptr<detail::BroadcastMemory> memory) : memory_(std::move(memory)) {
    const std::span<const std::byte> bytes = memory_->bytes;
    if (bytes.size() % sizeof(T) != 0) throw DecodeError("a Broadcast of another type");
    elements_ = {std::launder(reinterpret_cast<const T*>(bytes.data())), bytes.size() / sizeof(T)};
  }

  std::shared_ptr<detail::BroadcastMemory> memory_;
  std::span<const T> elements_;
};

/// An array of `count` elements, which `fill` writes (they are zero bytes before) straight into the
/// memory that all processes will share. Throws SystemError, and what `fill` throws.
template <class Array>
  requires std::is_unbounded_array_v<Array>
[[nodiscard]] Broadcast<Array> broadcast(
    std::size_t count, const std::function<void(std::span<std::remove_extent_t<Array>>)>& fill) {
  using T = std::remove_extent_t<Array>;
  static_assert(detail::Shareable<T>,
                "bulkhead: the elements of a broadcast array are read where they are, so they must "
                "be trivially copyable and must not point anywhere");
  if (count > (std::size_t{1} << 62) / sizeof(T)) throw std::bad_alloc();
  const auto fill_bytes = [&](std::span<std::byte> bytes) {
    fill({reinterpret_cast<T*>(bytes.data()), count});
  };
  return detail::BroadcastAccess::handle<Broadcast<Array>>(
      detail::make_broadcast(count * sizeof(T), fill_bytes));
}

/// The elements of a vector, span, string or the like as an array that all processes share; they
/// are copied once.
template <detail::ShareableArray Range>
[[nodiscard]] auto broadcast(const Range& elements) {
  using T = std::ranges::range_value_t<const Range>;
  const std::span<const T> all(std::ranges::data(elements), std::ranges::size(elements));
  return broadcast<T[]>(all.size(), [&](std::span<T> to) {
    if (!all.empty()) std::memcpy(to.data(), all.data(), all.size_bytes());
  });
}

/// Any other value that has a codec. It must not change while it is copied.
template <class T>
  requires(!detail::ShareableArray<T>)
[[nodiscard]] Broadcast<T> broadcast(const T& value) {
  detail::require_codec<T>();
  const auto handle = [](std::span<const std::byte> bytes) {
    return detail::BroadcastAccess::handle<Broadcast<T>>(
        detail::make_broadcast(bytes.size(), [&](std::span<std::byte> to) {
          if (!bytes.empty()) std::memcpy(to.data(), bytes.data(), bytes.size());
        }));
  };
  if constexpr (detail::Shareable<T>) {
    return handle(std::as_bytes(std::span(&value, 1)));
  } else {
    detail::SpillWriter out({});
    Codec<T>::encode(value, out);
    return handle(out.take());
  }
}

template <class T>
struct Codec<Broadcast<T>> {
  static void encode(const Broadcast<T>& value, ByteWriter& out) {
    out.put(detail::BroadcastAccess::ticket(value));
  }
  static Broadcast<T> decode(ByteReader& in) {
    const auto ticket = in.get<detail::BroadcastTicket>();
    if (ticket.fd < 0) return {};
    return detail::BroadcastAccess::handle<Broadcast<T>>(detail::find_broadcast(ticket));
  }
};

}  // namespace bulkhead
