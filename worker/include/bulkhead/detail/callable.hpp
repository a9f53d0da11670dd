// SPDX-License-Identifier: MIT
//
// What is left of the user's function once its types are gone: three function pointers,
// instantiated in the user's program, found again in the worker by the address of describe().
#pragma once

#include <bulkhead/bytes.hpp>
#include <bulkhead/codec.hpp>
#include <bulkhead/detail/cell.hpp>
#include <bulkhead/detail/function_token.hpp>
#include <bulkhead/detail/task_run.hpp>
#include <bulkhead/error.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

namespace bulkhead::detail {

/// What a task was doing when it threw.
enum class TaskPhase : std::uint8_t { decoding, reading, running, encoding };

/// One call of a callable, in the worker.
struct TaskCall {
  std::uint64_t task;  ///< index of the element in its call
  ByteReader& argument;
  ByteWriter& result;
  TaskPhase& phase;
  void (*watch)(TaskPhase) = nullptr;  ///< is told of changes of the phase, if there is one

  void enter(TaskPhase next) {
    phase = next;
    if (watch != nullptr) [[unlikely]]
      watch(next);
  }
};

/// A callable without its types. `make` and `call` may throw anything.
struct Callable {
  /// Builds the object that `call` and `drop` get, from a plain function (or null) and the state.
  void* (*make)(const void* function, ByteReader& state);
  void (*drop)(void* object) noexcept;
  void (*call)(void* object, TaskCall& task);
  /// Calls for all tasks of a run; null if argument or result are not such as run in cells. What a
  /// task throws leaves it; called again, it goes on with the one after that.
  void (*run)(void* object, TaskRun& tasks) = nullptr;
  std::uint32_t result_cell = 0;  ///< bytes
  bool marks_elements = false;    ///< a task is of several elements: see ElementMark
};

/// The address of such a function names a Callable in every process that has the same module.
using Describe = const Callable& (*)();

/// How an argument given by the caller is stored: by value, string literals as strings.
template <class T>
using Stored = std::conditional_t<std::is_same_v<std::decay_t<T>, const char*> ||
                                      std::is_same_v<std::decay_t<T>, char*>,
                                  std::string, std::decay_t<T>>;

template <class F>
inline constexpr bool kIsFunction = std::is_function_v<std::remove_pointer_t<F>>;
template <class F>
inline constexpr bool kIsStateless = std::is_empty_v<F>&& std::is_default_constructible_v<F>;

/// A functor that cereal knows by a serialize() of its own, or that has its own Codec. The bytes of
/// a closure are not accepted: they may be references into this process.
template <class F>
concept StatefulFunctor = std::is_class_v<F> && !Bitwise<F> && Encodable<F>;

template <class F, class Tuple>
inline constexpr bool kTakesParts = false;
template <class F, template <class...> class Tuple, class... Parts>
inline constexpr bool kTakesParts<F, Tuple<Parts...>> = std::is_invocable_v<F&, Parts&&...>;
template <class F, class T, std::size_t N>
inline constexpr bool kTakesParts<F, std::array<T, N>> = true;  // left to std::apply

/// F can be called with the element, or (kSpread) with its parts.
template <class F, class Argument, bool kSpread>
inline constexpr bool kTakes =
    kSpread ? kTakesParts<F, Argument>
            : std::is_invocable_v<F&, Argument&&> || std::is_invocable_v<F&, Argument&>;

/// F is such as can be sent to workers that already run.
template <class F>
inline constexpr bool kSendable = kIsFunction<F> || kIsStateless<F> || StatefulFunctor<F>;

/// Stops the compilation with a sentence if F cannot be sent to a worker.
template <class F>
constexpr void require_sendable() {
  static_assert(
      kSendable<F>,
      "bulkhead: this callable cannot be sent to workers that already run: it is a lambda with "
      "captures, a functor without serialize(), a member function pointer, a std::function "
      "or the like. Use a captureless lambda around it; bind values with "
      "bulkhead::partial(f, a, b...); give the functor `template <class Archive> void "
      "serialize(Archive&)`; or use bulkhead::fork_map, whose workers are forked at the "
      "call and see every capture");
}

/// Calls its first argument with the others, so that a callable with state can be one of them.
struct Invoke {
  template <class F, class... Args>
    requires std::is_invocable_v<F, Args...>
  decltype(auto) operator()(F&& f, Args&&... args) const {
    return std::invoke(std::forward<F>(f), std::forward<Args>(args)...);
  }
};

/// What a wrong call returns, after require_travelling() has said what is wrong:
/// something that fits most uses, so that the compiler does not add complaints of its own.
struct Mistyped : std::vector<int> {
  template <class T>
  operator T() const;  // NOLINT(google-explicit-constructor)
  template <class Stream>
  friend Stream& operator<<(Stream& out, const Mistyped&) {
    return out;
  }
};

/// Calls `f` with the argument, as an rvalue if it takes one, else as an lvalue.
template <class F, class Argument>
decltype(auto) invoke_with(F& f, Argument& argument) {
  if constexpr (std::is_invocable_v<F&, Argument&&>) {
    return std::invoke(f, std::move(argument));
  } else {
    return std::invoke(f, argument);
  }
}

/// f(a, b, c) for an argument that is the tuple (a, b, c).
template <class F>
struct Spread {
  F& f;
  template <class Tuple>
  decltype(auto) operator()(Tuple&& arguments) const {
    return std::apply(f, std::forward<Tuple>(arguments));
  }
};

template <class F, class Argument, bool kSpread>
decltype(auto) call_user(F& f, Argument& argument) {
  if constexpr (kSpread) {
    Spread<F> spread{f};
    return spread(std::move(argument));
  } else {
    return invoke_with(f, argument);
  }
}

template <class F, class Argument, bool kSpread>
using ResultOf = std::remove_cvref_t<decltype(call_user<F, Argument, kSpread>(
    std::declval<F&>(), std::declval<Argument&>()))>;

/// Nothing, or something with a codec.
template <class R>
inline constexpr bool kReturnable = std::is_void_v<R> || Encodable<R>;

/// F, what it takes and what it returns can cross between processes.
template <class F, class Argument, bool kSpread>
constexpr bool travels() {
  if constexpr (kTakes<F, Argument, kSpread> && kSendable<F> && Encodable<Argument>) {
    return kReturnable<ResultOf<F, Argument, kSpread>>;
  } else {
    return false;
  }
}

/// Stops the compilation with a sentence unless travels().
template <class F, class Argument, bool kSpread>
constexpr void require_travelling() {
  static_assert(
      kTakes<F, Argument, kSpread>,
      "bulkhead: the function cannot be called with an element of the range (map, try_map), or "
      "with the parts of one (starmap, apply), or with what partial() has bound; compare its "
      "parameters, in number and type. A broadcast array arrives as a std::span<const T>, any "
      "other Broadcast<T> as itself");
  require_sendable<F>();
  require_codec<Argument>();
  if constexpr (kTakes<F, Argument, kSpread>) {
    using Result = ResultOf<F, Argument, kSpread>;
    if constexpr (!std::is_void_v<Result>) require_codec<Result>();
  }
}

/// The Callable of F taking one Argument (or, if kSpread, a tuple of arguments).
template <class F, class Argument, bool kSpread>
struct CallableFor {
  using Result = ResultOf<F, Argument, kSpread>;

  static void* make(const void* function, ByteReader& state) {
    if constexpr (kIsFunction<F>) {
      return const_cast<void*>(function);
    } else if constexpr (kIsStateless<F>) {
      return nullptr;
    } else {
      return new F(Codec<F>::decode(state));
    }
  }

  static void drop(void* object) noexcept {
    if constexpr (!kIsFunction<F> && !kIsStateless<F>) delete static_cast<F*>(object);
  }

  static void call(void* object, TaskCall& task) {
    Argument argument = Codec<Argument>::decode(task.argument);
    if (!task.argument.exhausted()) {
      throw DecodeError("bytes are left over after the argument; encode() and decode() disagree");
    }
    task.enter(TaskPhase::running);
    if constexpr (kIsFunction<F>) {
      auto f = reinterpret_cast<F>(object);
      answer(f, argument, task);
    } else if constexpr (kIsStateless<F>) {
      F f{};
      answer(f, argument, task);
    } else {
      answer(*static_cast<F*>(object), argument, task);
    }
  }

  static void run(void* object, TaskRun& tasks) {
    if constexpr (kIsFunction<F>) {
      auto f = reinterpret_cast<F>(object);
      run_with(f, tasks);
    } else if constexpr (kIsStateless<F>) {
      F f{};
      run_with(f, tasks);
    } else {
      run_with(*static_cast<F*>(object), tasks);
    }
  }

  static constexpr bool kRuns = FitsCell<Argument> && kResultFitsCell<Result>;

  static const Callable& describe() {
    if constexpr (kRuns) {
      static constexpr Callable callable{&make, &drop, &call, &run, kResultCell<Result>};
      return callable;
    } else {
      static constexpr Callable callable{&make, &drop, &call};
      return callable;
    }
  }

 private:
  template <class G>
  static void run_with(G& f, TaskRun& tasks) {
    while (tasks.begin()) {
      Argument argument = get_argument<Argument>(tasks.argument());
      if constexpr (std::is_void_v<Result>) {
        call_user<G, Argument, kSpread>(f, argument);
      } else {
        const Result& result = call_user<G, Argument, kSpread>(f, argument);
        put_result(tasks.result(), result, tasks.task());
      }
      tasks.end();
    }
  }

  template <class G>
  static void answer(G& f, Argument& argument, TaskCall& task) {
    if constexpr (std::is_void_v<Result>) {
      call_user<G, Argument, kSpread>(f, argument);
    } else {
      const Result& result = call_user<G, Argument, kSpread>(f, argument);
      task.enter(TaskPhase::encoding);
      Codec<Result>::encode(result, task.result);
    }
  }
};

}  // namespace bulkhead::detail
