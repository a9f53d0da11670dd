// SPDX-License-Identifier: MIT
//
// What runs in each worker beside the tasks: the initializer and the finalizer of a pool.
#pragma once

#include <bulkhead/bytes.hpp>
#include <bulkhead/codec.hpp>
#include <bulkhead/detail/callable.hpp>
#include <bulkhead/partial.hpp>

#include <concepts>
#include <cstddef>
#include <functional>
#include <type_traits>
#include <utility>

namespace bulkhead {

/// A callable without parameters, or none. Workers that are forked from this process
/// (StartMethod::fork) have it in their memory, whatever it is. To others it is sent, so it must be
/// such as can be sent as a task's function: a function, a lambda without captures, a functor with
/// serialize(), partial() of these.
class Hook {
 public:
  Hook() = default;
  Hook(std::nullptr_t) {}  // NOLINT(google-explicit-constructor)
  template <class F>
    requires(!std::same_as<std::decay_t<F>, Hook>)
  Hook(F&& f)  // NOLINT(google-explicit-constructor)
      : call_(checked(std::forward<F>(f))) {
    if constexpr (detail::kSendable<std::decay_t<F>>) encode_ = &encode_as<std::decay_t<F>>;
  }

  [[nodiscard]] explicit operator bool() const { return static_cast<bool>(call_); }
  void operator()() const { call_(); }

  /// True if it can be sent, or there is nothing to send.
  [[nodiscard]] bool travels() const { return !call_ || encode_ != nullptr; }
  /// Writes what decode() makes a hook of, if there is something to call. Throws Error if the code
  /// is not that of a loaded module, and what the functor's codec throws.
  void encode(ByteWriter& out) const {
    if (call_) encode_(call_, out);
  }
  /// What is to be called in another process. Throws Error if the code is not loaded there, and
  /// what the functor's codec throws.
  [[nodiscard]] static std::function<void()> decode(ByteReader& in) {
    const auto decode = Codec<detail::FunctionToken>::decode(in);
    return reinterpret_cast<Decode>(const_cast<void*>(decode.address()))(in);
  }

 private:
  template <class F>
  static std::function<void()> checked(F&& f) {
    using Function = std::decay_t<F>;
    constexpr bool kCalled = std::is_invocable_v<Function&>;
    static_assert(kCalled,
                  "bulkhead: an initializer or finalizer is called without arguments; bind them: "
                  "bulkhead::partial(f, a, b...)");
    static_assert(!kCalled || std::is_copy_constructible_v<Function>,
                  "bulkhead: an initializer or finalizer must be copyable; what it is bound to, "
                  "too");
    if constexpr (kCalled && std::is_copy_constructible_v<Function>) {
      return std::forward<F>(f);
    } else {
      return nullptr;
    }
  }

  using Decode = std::function<void()> (*)(ByteReader& in);

  template <class F>
  static void encode_as(const std::function<void()>& call, ByteWriter& out) {
    const Decode decode = &decode_as<F>;
    Codec<detail::FunctionToken>::encode(
        detail::FunctionToken(reinterpret_cast<const void*>(decode)), out);
    Codec<Partial<F>>::encode(Partial<F>(*call.target<F>()), out);
  }
  template <class F>
  static std::function<void()> decode_as(ByteReader& in) {
    return Codec<Partial<F>>::decode(in);
  }

  std::function<void()> call_;
  void (*encode_)(const std::function<void()>& call, ByteWriter& out) = nullptr;
};

}  // namespace bulkhead
