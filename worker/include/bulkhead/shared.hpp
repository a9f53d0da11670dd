// SPDX-License-Identifier: MIT
//
// State that the program and all its workers share, in memory without a name:
//
//   const bulkhead::Shared<long> found(0);
//   pool.map(bulkhead::partial(search, found), files);         // there: found.fetch_add(1)
//   const bulkhead::SharedArray<double> best(100);             // zeros
//
// What std::atomic can do without a lock is atomic; everything else is behind a lock that a worker
// may hold while it dies: the value is then what it was before. (Who hangs in update() holds up all
// others; a call's timeout ends a task that does.) Handles are cheap to copy, may be
// arguments, parts of arguments, bound by partial(), or global if they are older than the pool; all
// copies are the same state, which lives as long as one of them does in the process that made it
// (and takes one descriptor there). Workers keep what they were sent last. They may be used at any
// time by any thread of any process; a task that has changed it and then fails, or is run again,
// has changed it.
#pragma once

#include <bulkhead/broadcast.hpp>
#include <bulkhead/bytes.hpp>
#include <bulkhead/codec.hpp>

#include <atomic>
#include <concepts>
#include <cstddef>
#include <cstring>
#include <functional>
#include <memory>
#include <span>
#include <type_traits>
#include <utility>

namespace bulkhead {
namespace detail {

/// Elements of a fixed size, which all processes can write.
struct SharedMemory {
  BroadcastTicket ticket;
  std::span<std::byte> elements;
  std::byte* scratch = nullptr;  ///< room for one element
};

/// `count` elements of zeros. Throws SystemError.
[[nodiscard]] std::shared_ptr<SharedMemory> make_shared_memory(std::size_t element,
                                                               std::size_t count);
/// What to send of it.
[[nodiscard]] BroadcastTicket ticket_of(const std::shared_ptr<SharedMemory>& memory);
/// The memory of a ticket. Throws DecodeError if there is none, any more or at all.
[[nodiscard]] std::shared_ptr<SharedMemory> find_shared_memory(const BroadcastTicket& ticket,
                                                               std::size_t element);
/// `change` gets the bytes of a copy of an element, which take its place when it returns. One
/// caller at a time.
void change_shared(SharedMemory& memory, std::size_t at,
                   const std::function<void(std::byte*)>& change);

/// A handle that refers to nothing was used.
[[noreturn]] void throw_unmade();

template <class T>
inline constexpr bool kLockFree =
    std::is_trivially_copyable_v<T>&& std::atomic_ref<T>::is_always_lock_free;

template <class T>
concept Number = kLockFree<T> && std::is_arithmetic_v<T> && !std::same_as<T, bool>;

/// For the codec.
struct SharedAccess {
  template <class Handle>
  static Handle handle(std::shared_ptr<SharedMemory> memory) {
    return Handle(std::move(memory));
  }
  template <class Handle>
  static const std::shared_ptr<SharedMemory>& memory(const Handle& handle) {
    return handle.memory_;
  }
};

}  // namespace detail

/// A fixed number of elements. An index beyond them is undefined, as in a std::span.
template <class T>
class SharedArray {
  static_assert(detail::Shareable<T>,
                "bulkhead: what processes share must be trivially copyable and must not point "
                "anywhere");

 public:
  using value_type = T;

  /// Refers to nothing: for an array that is assigned later. Empty.
  SharedArray() = default;
  /// Of zero bytes. Throws SystemError.
  explicit SharedArray(std::size_t size)
      : SharedArray(detail::make_shared_memory(sizeof(T), size)) {}

  [[nodiscard]] std::size_t size() const {
    return memory_ ? memory_->elements.size() / sizeof(T) : 0;
  }
  /// An element, to be used as a std::atomic.
  std::atomic_ref<T> operator[](std::size_t i) const requires detail::kLockFree<T> {
    return std::atomic_ref<T>(place(i));
  }
  [[nodiscard]] T load(std::size_t i) const {
    if constexpr (detail::kLockFree<T>) {
      return (*this)[i].load();
    } else {
      return update(i, [](const T&) {});
    }
  }
  void store(std::size_t i, const T& value) const {
    if constexpr (detail::kLockFree<T>) {
      (*this)[i].store(value);
    } else {
      update(i, [&](T& element) { element = value; });
    }
  }
  /// Changes an element by `f(T&)`, as if nobody else were there; its new value. If `f` throws, or
  /// the process ends in it, nothing is changed. It must not use this array; where the elements are
  /// atomic it may be called more than once.
  template <class F>
  T update(std::size_t i, F f) const {
    if constexpr (detail::kLockFree<T>) {
      T before = load(i);
      for (;;) {
        T after = before;
        f(after);
        if ((*this)[i].compare_exchange_weak(before, after)) return after;
      }
    } else {
      T copy{};
      detail::change_shared(memory(), i * sizeof(T), [&](std::byte* bytes) {
        std::memcpy(&copy, bytes, sizeof(T));
        f(copy);
        std::memcpy(bytes, &copy, sizeof(T));
      });
      return copy;
    }
  }
  /// All elements as plain memory: for when nobody changes what is read, or reads what is changed.
  [[nodiscard]] std::span<T> elements() const {
    if (!memory_) return {};
    return {&place(0), size()};
  }

 private:
  friend struct detail::SharedAccess;

  explicit SharedArray(std::shared_ptr<detail::SharedMemory> memory) : memory_(std::move(memory)) {}

  T& place(std::size_t i) const { return reinterpret_cast<T*>(memory().elements.data())[i]; }
  [[nodiscard]] detail::SharedMemory& memory() const {
    if (!memory_) detail::throw_unmade();
    return *memory_;
  }

  std::shared_ptr<detail::SharedMemory> memory_;
};

/// One value.
template <class T>
class Shared {
 public:
  using value_type = T;

  /// Refers to nothing: for one that is assigned later. To use it throws Error.
  Shared() = default;
  /// Throws SystemError.
  explicit Shared(const T& value) : cell_(1) { store(value); }

  [[nodiscard]] T load() const { return cell_.load(0); }
  void store(const T& value) const { cell_.store(0, value); }
  /// See SharedArray::update().
  template <class F>
  T update(F f) const {
    return cell_.update(0, std::move(f));
  }
  /// As a std::atomic.
  std::atomic_ref<T> operator*() const requires detail::kLockFree<T> { return cell_[0]; }
  /// The value before.
  T fetch_add(T more) const requires detail::Number<T> { return cell_[0].fetch_add(more); }
  /// The value after.
  T operator++() const requires detail::Number<T> { return fetch_add(1) + T{1}; }

 private:
  friend struct detail::SharedAccess;
  friend struct Codec<Shared<T>>;

  explicit Shared(SharedArray<T> cell) : cell_(std::move(cell)) {}

  SharedArray<T> cell_;
};

template <class T>
struct Codec<SharedArray<T>> {
  static void encode(const SharedArray<T>& value, ByteWriter& out) {
    out.put(detail::ticket_of(detail::SharedAccess::memory(value)));
  }
  static SharedArray<T> decode(ByteReader& in) {
    const auto ticket = in.get<detail::BroadcastTicket>();
    if (ticket.fd < 0) return {};
    return detail::SharedAccess::handle<SharedArray<T>>(
        detail::find_shared_memory(ticket, sizeof(T)));
  }
};

template <class T>
struct Codec<Shared<T>> {
  static void encode(const Shared<T>& value, ByteWriter& out) {
    Codec<SharedArray<T>>::encode(value.cell_, out);
  }
  static Shared<T> decode(ByteReader& in) {
    auto cell = Codec<SharedArray<T>>::decode(in);
    if (cell.size() > 1) throw DecodeError("a Shared of another type");
    return cell.size() == 0 ? Shared<T>() : Shared<T>(std::move(cell));
  }
};

}  // namespace bulkhead
