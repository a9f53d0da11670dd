// SPDX-License-Identifier: MIT
//
// fork_map: map for callables that cannot travel. Workers are forked at the call and see all memory
// as it is at that moment, so any callable works, captures by reference included, and inputs of any
// size and type cost nothing: only indices are sent. (A range without random access is copied into
// a vector first.) Results come back as from Pool::map.
//
//   std::vector<double> sums = bulkhead::fork_map([&](const Node& node) { return graph.weigh(node);
//   }, nodes);
//
// What a task writes to captured variables stays in its worker. Descriptors of the caller are
// closed there.
#pragma once

#include <bulkhead/pool.hpp>

#include <algorithm>
#include <cstdint>
#include <ranges>
#include <type_traits>
#include <utility>
#include <vector>

namespace bulkhead {
namespace detail {

/// The callable and the elements, in the memory that the workers inherit.
template <class F, class Elements>
struct Inherited {
  F& f;
  Elements& elements;

  using Element = std::ranges::range_reference_t<Elements>;
  using Result = std::remove_cvref_t<std::invoke_result_t<F&, Element>>;

  [[nodiscard]] Element at(std::uint64_t index) const {
    return std::ranges::begin(
        elements)[static_cast<std::ranges::range_difference_t<Elements>>(index)];
  }

  // Its address means the same in every worker.
  static void* make(const void*, ByteReader& state) {
    return reinterpret_cast<void*>(state.get<std::uintptr_t>());
  }
  static void drop(void*) noexcept {}
  static void call(void* object, TaskCall& task) {
    const auto& self = *static_cast<const Inherited*>(object);
    task.enter(TaskPhase::running);
    if constexpr (std::is_void_v<Result>) {
      std::invoke(self.f, self.at(task.task));
    } else {
      const Result& result = std::invoke(self.f, self.at(task.task));
      task.enter(TaskPhase::encoding);
      Codec<Result>::encode(result, task.result);
    }
  }
  static const Callable& describe_this() {
    static constexpr Callable callable{&make, &drop, &call};
    return callable;
  }
};

/// The Call (see calls.hpp) of a fork_map.
template <class Context>
class InheritedCall {
 public:
  using Result = typename Context::Result;
  static constexpr bool kHasState = true;
  static constexpr bool kRuns = false;

  explicit InheritedCall(const Context& context) : context_(context) {
    if constexpr (!std::is_void_v<Result>) require_codec<Result>();
  }
  [[nodiscard]] Describe describe() const { return &Context::describe_this; }
  [[nodiscard]] const void* function() const { return nullptr; }
  void encode_state(ByteWriter& out) const { out.put(reinterpret_cast<std::uintptr_t>(&context_)); }

  template <class Source>
  static bool put(TaskSink& sink, std::uint32_t callable, std::uint64_t task, const Source&) {
    return sink.put_empty(callable, task);
  }
  template <class Source>
  static void encode_argument(const Source&, std::uint64_t, ByteWriter&) {}

 private:
  const Context& context_;
};

struct ForkMap {
  template <template <class> class Gather, class F, class Range>
  static auto run(F& f, Range&& range, Options options, const CallOptions& call_options) {
    if constexpr (std::ranges::random_access_range<Range> && std::ranges::sized_range<Range>) {
      return run_indexed<Gather>(f, range, std::move(options), call_options);
    } else {
      std::vector<std::ranges::range_value_t<Range>> elements;
      for (auto&& element : range) elements.push_back(std::forward<decltype(element)>(element));
      return run_indexed<Gather>(f, elements, std::move(options), call_options);
    }
  }

 private:
  template <template <class> class Gather, class F, class Elements>
  static auto run_indexed(F& f, Elements& elements, Options options,
                          const CallOptions& call_options) {
    using Context = Inherited<F, Elements>;
    if (!options.replay_dir.empty()) {
      throw InvalidArgument(
          "bulkhead: Options::replay_dir is of no use to fork_map, whose function and elements are "
          "not sent as bytes, so there are none to save; use Pool::map");
    }
    const Context context{f, elements};
    const InheritedCall<Context> what(context);
    const auto count = static_cast<std::uint64_t>(std::ranges::size(elements));
    Pool pool(std::move(options));
    MapJob<InheritedCall<Context>, Indices, Gather<typename Context::Result>> job(what,
                                                                                  Indices{count});
    return job.run(pool.engine(), call_options);
  }
};

}  // namespace detail

/// f(x) for each element x of the range, in order, each call in a worker forked now. Errors as
/// Pool's constructor and Pool::map.
template <class F, std::ranges::input_range Range>
auto fork_map(F&& f, Range&& range, Options options = {}, const CallOptions& call_options = {}) {
  return detail::ForkMap::run<detail::Values>(f, std::forward<Range>(range), std::move(options),
                                              call_options);
}

/// As fork_map, with one outcome for every element: see Pool::try_map.
template <class F, std::ranges::input_range Range>
auto try_fork_map(F&& f, Range&& range, Options options = {},
                  const CallOptions& call_options = {}) {
  return detail::ForkMap::run<detail::Outcomes>(f, std::forward<Range>(range), std::move(options),
                                                call_options);
}

}  // namespace bulkhead
