// SPDX-License-Identifier: MIT
//
// partial(f, a, b...): f with its first arguments bound by value, as a callable that can be sent to
// workers, which a lambda with captures cannot.
//
//   double power(double exponent, double x);
//   pool.map(bulkhead::partial(power, 2.0), xs);     // power(2.0, x)
#pragma once

#include <bulkhead/codec.hpp>
#include <bulkhead/detail/callable.hpp>

#include <functional>
#include <tuple>
#include <type_traits>
#include <utility>

namespace bulkhead {

template <class F, class... Bound>
class Partial {
 public:
  Partial() = default;
  Partial(F f, Bound... bound) : f_(f), bound_(std::move(bound)...) {}

  template <class... Args>
    requires std::is_invocable_v<const F&, const Bound&..., Args...>
  decltype(auto) operator()(Args&&... args) const {
    return std::apply(
        [&](const Bound&... bound) -> decltype(auto) {
          return std::invoke(f_, bound..., std::forward<Args>(args)...);
        },
        bound_);
  }

  template <class Archive>
  void save(Archive& archive) const {
    if constexpr (detail::kIsFunction<F>) {
      archive(detail::FunctionToken(reinterpret_cast<const void*>(f_)));
    } else if constexpr (!detail::kIsStateless<F>) {
      archive(f_);
    }
    archive(bound_);
  }
  template <class Archive>
  void load(Archive& archive) {
    if constexpr (detail::kIsFunction<F>) {
      detail::FunctionToken token;
      archive(token);
      f_ = reinterpret_cast<F>(const_cast<void*>(token.address()));
    } else if constexpr (!detail::kIsStateless<F>) {
      archive(f_);
    }
    archive(bound_);
  }

 private:
  F f_{};
  std::tuple<Bound...> bound_;
};

/// Binds the first arguments of `f`, copies of them; string literals become std::string. `f` and
/// the arguments must be what a pool can send (see pool.hpp, codec.hpp).
template <class F, class... Bound>
Partial<std::decay_t<F>, detail::Stored<Bound>...> partial(F&& f, Bound&&... bound) {
  detail::require_sendable<std::decay_t<F>>();
  (detail::require_codec<detail::Stored<Bound>>(), ...);
  return {std::forward<F>(f), detail::Stored<Bound>(std::forward<Bound>(bound))...};
}

/// A call that is to be made later, by Pool::run(): partial(f, a, b) with all arguments.
template <class F, class... Args>
auto delayed(F&& f, Args&&... args) {
  return partial(std::forward<F>(f), std::forward<Args>(args)...);
}

}  // namespace bulkhead
