// SPDX-License-Identifier: MIT
//
// What a worker does of a reduction. The elements are the leaves of a tree whose shape depends on
// their number only (see Pool::map_reduce); a task computes one node of it:
//   - a block: maps elements, and combines their results as they come
//   - or combines nodes that others have computed, and (the last task) the initial value with the
//   root
// A block whose elements take much longer than was thought is ended half-way: the nodes that are
// complete by then are answered, and the elements that are left are for others.
#pragma once

#include <bulkhead/bytes.hpp>
#include <bulkhead/codec.hpp>
#include <bulkhead/detail/callable.hpp>
#include <bulkhead/detail/element_mark.hpp>

#include <bit>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

namespace bulkhead::detail {

/// What the argument of such a task begins with. Then, if it is a block, the elements; else the
/// initial value, if it is the last, and the parts, each with the number of its elements before it.
struct ReduceHead {
  std::uint64_t first = 0;  ///< element
  std::uint64_t count = 0;  ///< of elements
  std::uint64_t parts = 0;  ///< nodes to be combined; 0: it is a block
  std::uint64_t last = 0;   ///< 1: it is the last task
};

/// What the answer begins with. If all is done the node follows; else those nodes that are
/// complete, from the left, each with the number of its bytes before it.
struct ReduceReport {
  std::int64_t nanoseconds = 0;
  std::uint64_t done = 0;  ///< elements, from the first
};

/// F can combine two values of type T.
template <class F, class T>
inline constexpr bool kCombines =
    std::is_invocable_v<F&, T&&, T&&> || std::is_invocable_v<F&, T&, T&&> ||
    std::is_invocable_v<F&, T&, T&>;

template <class T, class F>
decltype(auto) combine_with(F& f, T& left, T& right) {
  if constexpr (std::is_invocable_v<F&, T&&, T&&>) {
    return std::invoke(f, std::move(left), std::move(right));
  } else if constexpr (std::is_invocable_v<F&, T&, T&&>) {
    return std::invoke(f, left, std::move(right));
  } else {
    return std::invoke(f, left, right);
  }
}

/// F gives a T, or something that becomes one without a word.
template <class F, class T>
constexpr bool combines_into() {
  if constexpr (kCombines<F, T>) {
    return std::is_convertible_v<
        decltype(combine_with<T>(std::declval<F&>(), std::declval<T&>(), std::declval<T&>())), T>;
  } else {
    return false;
  }
}

/// What becomes of a real number that is kept in an integer.
template <class From, class To>
inline constexpr bool kTruncates = std::is_floating_point_v<From>&& std::is_integral_v<To>;

template <class Map, class Op, class Argument, class T>
constexpr bool reduces() {
  if constexpr (kTakes<Map, Argument, false> && kSendable<Map> && kSendable<Op> &&
                Encodable<Argument> && Encodable<T>) {
    using Y = ResultOf<Map, Argument, false>;
    return std::is_convertible_v<Y, T> && !kTruncates<Y, T> && combines_into<Op, T>();
  } else {
    return false;
  }
}

/// Stops the compilation with a sentence unless reduces().
template <class Map, class Op, class Argument, class T>
constexpr void require_reducing() {
  static_assert(kTakes<Map, Argument, false>,
                "bulkhead: the function to be mapped cannot be called with an element of the range "
                "(map_reduce(range, map, reduce, init)); compare its parameters, in number and "
                "type");
  require_sendable<Map>();
  require_sendable<Op>();
  require_codec<Argument>();
  require_codec<T>();
  if constexpr (kTakes<Map, Argument, false>) {
    using Y = ResultOf<Map, Argument, false>;
    static_assert(std::is_convertible_v<Y, T>,
                  "bulkhead: what is to be combined (the elements, or what map returns of them) "
                  "does not convert to the type of the initial value, which is the type of the "
                  "result");
    static_assert(!kTruncates<Y, T>,
                  "bulkhead: the initial value is an integer, and so the result would be one, but "
                  "what is to be combined are real numbers: write 0.0 instead of 0, or convert "
                  "them to integers in map");
  }
  static_assert(combines_into<Op, T>(),
                "bulkhead: the function that reduces must take two values of the type of the "
                "initial value, and return one of that type, or one that converts to it");
}

/// The complete nodes of the tree, from the left: a binary counter.
template <class T, class Op>
class TreeNodes {
 public:
  struct Node {
    T value;
    std::uint64_t count;  ///< of its elements
  };

  /// Of so many elements in all.
  TreeNodes(Op& op, std::uint64_t elements) : op_(op) {
    nodes_.reserve(static_cast<std::size_t>(std::bit_width(elements)) + 1);
  }

  /// The next node. It has a partner if that has as many elements.
  void add(T value, std::uint64_t count) {
    nodes_.push_back({std::move(value), count});
    while (nodes_.size() > 1 && nodes_[nodes_.size() - 2].count == nodes_.back().count) join();
  }
  /// The node of all. Those at the end that have no partner have passed through.
  T fold() {
    while (nodes_.size() > 1) join();
    return std::move(nodes_.back().value);
  }
  [[nodiscard]] const std::vector<Node>& nodes() const { return nodes_; }

 private:
  /// T need not be assignable.
  void join() {
    Node right = std::move(nodes_.back());
    nodes_.pop_back();
    Node left = std::move(nodes_.back());
    nodes_.pop_back();
    nodes_.push_back(
        {static_cast<T>(combine_with<T>(op_, left.value, right.value)), left.count + right.count});
  }

  Op& op_;
  std::vector<Node> nodes_;
};

/// Measures a block. The clock is looked at seldom where elements take little time.
class BlockClock {
 public:
  using Clock = std::chrono::steady_clock;

  /// Asked after so many more elements. True: the block takes too long.
  bool is_up(std::uint64_t elements) {
    if (elements < until_look_) {
      until_look_ -= elements;
      return false;
    }
    return look();
  }
  /// It need not be asked after each of so many elements.
  [[nodiscard]] bool lets_pass(std::uint64_t elements) const { return step_ >= elements; }
  [[nodiscard]] std::int64_t nanoseconds() const {
    return std::chrono::nanoseconds(Clock::now() - began_).count();
  }

 private:
  /// Some times what a block should take.
  static constexpr std::chrono::milliseconds kMost{8};
  static constexpr std::chrono::microseconds kStep{20};
  static constexpr std::uint64_t kMostElements = 64;

  bool look() {
    const auto now = Clock::now();
    if (now - looked_ > kStep) {
      step_ = 1;
    } else if (step_ < kMostElements) {
      step_ *= 2;
    }
    looked_ = now;
    until_look_ = step_;
    return now - began_ > kMost;
  }

  const Clock::time_point began_ = Clock::now();
  Clock::time_point looked_ = began_;
  std::uint64_t step_ = 1;
  std::uint64_t until_look_ = 1;
};

/// A callable of the user's as a part of a state that is sent.
template <class F>
void encode_callable(const F& f, ByteWriter& out) {
  if constexpr (kIsFunction<F>) {
    Codec<FunctionToken>::encode(FunctionToken(reinterpret_cast<const void*>(f)), out);
  } else if constexpr (!kIsStateless<F>) {
    Codec<F>::encode(f, out);
  }
}
template <class F>
F decode_callable(ByteReader& in) {
  if constexpr (kIsFunction<F>) {
    return reinterpret_cast<F>(const_cast<void*>(Codec<FunctionToken>::decode(in).address()));
  } else if constexpr (kIsStateless<F>) {
    return F{};
  } else {
    return Codec<F>::decode(in);
  }
}

/// The Callable of such tasks.
template <class Map, class Op, class Argument, class T>
struct ReduceCallable {
  struct Functions {
    Map map;
    Op op;
  };
  using Nodes = TreeNodes<T, Op>;

  static void* make(const void*, ByteReader& state) {
    Map map = decode_callable<Map>(state);
    return new Functions{std::move(map), decode_callable<Op>(state)};
  }
  static void drop(void* object) noexcept { delete static_cast<Functions*>(object); }

  static void call(void* object, TaskCall& task) {
    auto& functions = *static_cast<Functions*>(object);
    const auto head = task.argument.get<ReduceHead>();
    if (head.parts == 0) {
      run_block(functions, head, task);
    } else {
      combine_parts(functions, head, task);
    }
  }

  static const Callable& describe() {
    static constexpr Callable callable{&make, &drop, &call, nullptr, 0, true};
    return callable;
  }

 private:
  /// The elements of a block, one after another.
  class Leaves {
   public:
    Leaves(Functions& functions, const ReduceHead& head, TaskCall& task)
        : functions_(functions), task_(task), mark_(head.first), next_(head.first) {}

    T next() {
      mark_.begin(next_++);
      if constexpr (!PlainCoded<Argument>) task_.enter(TaskPhase::decoding);
      Argument argument = Codec<Argument>::decode(task_.argument);
      if (task_.phase != TaskPhase::running) task_.enter(TaskPhase::running);
      return static_cast<T>(invoke_with(functions_.map, argument));
    }
    /// The node of the next 2^kLevel of them: what a binary counter would do, in a straight line.
    template <int kLevel>
    T next_node() {
      if constexpr (kLevel == 0) {
        return next();
      } else {
        T left = next_node<kLevel - 1>();
        T right = next_node<kLevel - 1>();
        return static_cast<T>(combine_with<T>(functions_.op, left, right));
      }
    }

   private:
    Functions& functions_;
    TaskCall& task_;
    ElementMark mark_;
    std::uint64_t next_;
  };
  static constexpr int kLevel = sizeof(T) <= 256 ? 3 : 0;
  static constexpr std::uint64_t kAtOnce = 1U << kLevel;

  static void run_block(Functions& functions, const ReduceHead& head, TaskCall& task) {
    BlockClock clock;
    Leaves leaves(functions, head, task);
    Nodes nodes(functions.op, head.count);
    std::uint64_t done = 0;
    std::uint64_t more = 0;
    do {
      const bool many = done % kAtOnce == 0 && head.count - done >= kAtOnce;
      more = many && clock.lets_pass(kAtOnce) ? kAtOnce : 1;
      if (more == kAtOnce) {
        nodes.add(leaves.template next_node<kLevel>(), kAtOnce);
      } else {
        nodes.add(leaves.next(), 1);
      }
      done += more;
    } while (done != head.count && !clock.is_up(more));
    if (done == head.count) return answer(nodes.fold(), {clock.nanoseconds(), done}, task);
    answer_half(nodes, {clock.nanoseconds(), done}, task);
  }

  static void combine_parts(Functions& functions, const ReduceHead& head, TaskCall& task) {
    BlockClock clock;
    ElementMark mark(head.first);
    Nodes nodes(functions.op, head.count);
    task.enter(TaskPhase::decoding);
    std::optional<T> init;
    if (head.last != 0) init.emplace(Codec<T>::decode(task.argument));
    std::uint64_t end = head.first;
    for (std::uint64_t part = 0; part < head.parts; ++part) {
      const auto count = task.argument.get<std::uint64_t>();
      end += count;
      mark.move_to(end - 1);
      task.enter(TaskPhase::decoding);
      T value = Codec<T>::decode(task.argument);
      task.enter(TaskPhase::running);
      nodes.add(std::move(value), count);
    }
    T whole = nodes.fold();
    if (!init) return answer(whole, {clock.nanoseconds(), head.count}, task);
    const T result = static_cast<T>(combine_with<T>(functions.op, *init, whole));
    answer(result, {clock.nanoseconds(), head.count}, task);
  }

  static void answer(const T& value, const ReduceReport& report, TaskCall& task) {
    task.enter(TaskPhase::encoding);
    task.result.put(report);
    Codec<T>::encode(value, task.result);
  }
  static void answer_half(const Nodes& nodes, const ReduceReport& report, TaskCall& task) {
    task.enter(TaskPhase::encoding);
    task.result.put(report);
    for (const auto& node : nodes.nodes()) {
      SpillWriter one({});
      Codec<T>::encode(node.value, one);
      const std::vector<std::byte> bytes = one.take();
      task.result.put(static_cast<std::uint64_t>(bytes.size()));
      task.result.write(bytes.data(), bytes.size());
    }
  }
};

}  // namespace bulkhead::detail
