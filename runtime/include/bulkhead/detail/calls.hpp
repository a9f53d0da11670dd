// SPDX-License-Identifier: MIT
//
// What a task is made of, as a MapJob needs it: which callable, with what state, and what is sent
// for an element.
#pragma once

#include <bulkhead/codec.hpp>
#include <bulkhead/detail/callable.hpp>
#include <bulkhead/detail/source.hpp>
#include <bulkhead/detail/task_sink.hpp>
#include <bulkhead/error.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

namespace bulkhead::detail {

/// A callable that travels to workers which already run, and takes the element, or (kSpread) the
/// element's parts, as its arguments.
template <class F, class Argument, bool kSpread>
class TravellingCall {
  using Target = CallableFor<F, Argument, kSpread>;

 public:
  using Result = typename Target::Result;
  static constexpr bool kHasState = !kIsFunction<F> && !kIsStateless<F>;

  /// Throws InvalidArgument if `f` is a null pointer.
  explicit TravellingCall(const F& f) : f_(f) {
    if constexpr (kIsFunction<F>) {
      if (f == nullptr) throw InvalidArgument("bulkhead: the function is a null pointer");
    }
  }

  [[nodiscard]] Describe describe() const { return &Target::describe; }
  [[nodiscard]] const void* function() const {
    if constexpr (kIsFunction<F>) {
      return reinterpret_cast<const void*>(f_);
    } else {
      return nullptr;
    }
  }
  void encode_state(ByteWriter& out) const {
    if constexpr (kHasState) Codec<F>::encode(f_, out);
  }

  template <class Source>
  static bool put(TaskSink& sink, std::uint32_t callable, std::uint64_t task,
                  const Source& source) {
    using Element = std::remove_cvref_t<decltype(source[task])>;
    if constexpr (std::is_same_v<Element, Argument>) {
      return sink.put(callable, task, source[task]);
    } else {
      return sink.put_temporary(callable, task, Argument(source[task]));
    }
  }

  template <class Source>
  static void encode_argument(const Source& source, std::uint64_t task, ByteWriter& out) {
    using Element = std::remove_cvref_t<decltype(source[task])>;
    if constexpr (std::is_same_v<Element, Argument>) {
      Codec<Argument>::encode(source[task], out);
    } else {
      Codec<Argument>::encode(Argument(source[task]), out);
    }
  }

  /// Arguments travel many in a frame, in cells.
  static constexpr bool kRuns = Target::kRuns;
  static constexpr std::uint32_t cell() { return kArgumentCell<Argument>; }
  template <class Source>
  static void fill_cell(std::byte* cell, const Source& source, std::uint64_t task) {
    put_argument<Argument>(cell, source[task]);
  }

 private:
  const F& f_;
};

/// The same where arguments have been encoded before (see parcels.hpp).
template <class Call>
class EncodedCall : public Call {
 public:
  using Call::Call;

  static bool put(TaskSink& sink, std::uint32_t callable, std::uint64_t task,
                  const Source<Parcels&>& source) {
    return sink.put_encoded(callable, task, source[task]);
  }
  static void encode_argument(const Source<Parcels&>& source, std::uint64_t task, ByteWriter& out) {
    const Parcel parcel = source[task];
    out.write(parcel.data(), parcel.size());
  }
  static void fill_cell(std::byte* cell, const Source<Parcels&>& source, std::uint64_t task) {
    const Parcel parcel = source[task];
    std::memcpy(cell, parcel.data(), parcel.size());
  }
};

}  // namespace bulkhead::detail
