// SPDX-License-Identifier: MIT
//
// KeyedJob: a keyed map-reduce that is said step by step.
//
//   auto errors = pool.job<std::string, std::uint64_t>()
//                     .input(bulkhead::text("/var/log/*.log"))
//                     .map(by_program).reduce(bulkhead::sum)
//                     .memory(512 << 20).spill({"/scratch"}, 50ULL << 30)
//                     .run();
#pragma once

#include <bulkhead/by_key.hpp>

#include <cstdint>
#include <functional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace bulkhead {
namespace detail {

/// What has not been said yet.
struct Missing {};

}  // namespace detail

/// What Pool::job<K, V>() returns, to be said in one go: each step takes the job along. Inputs that
/// are not temporaries must outlive it; so must the pool. The other steps are the fields of
/// KeyedOptions: see there for what they mean.
template <class K, class V, class Input, class Mapper, class Reducer>
class KeyedJob {
 public:
  KeyedJob(detail::Engine& engine, KeyedOptions options, Input&& input = {}, Mapper mapper = {},
           Reducer reducer = {})
      : engine_(engine),
        options_(std::move(options)),
        input_(std::forward<Input>(input)),
        mapper_(std::move(mapper)),
        reducer_(std::move(reducer)) {}

  /// A range, text(), files(), records(), or the result of another keyed job.
  template <class In>
  [[nodiscard]] auto input(In&& in) && {
    return KeyedJob<K, V, In, Mapper, Reducer>(engine_, std::move(options_), std::forward<In>(in),
                                               std::move(mapper_), std::move(reducer_));
  }
  /// mapper(item, emit).
  template <class F>
  [[nodiscard]] auto map(F mapper) && {
    return KeyedJob<K, V, Input, F, Reducer>(engine_, std::move(options_),
                                             std::forward<Input>(input_), std::move(mapper),
                                             std::move(reducer_));
  }
  /// sum, min, max, count, combine(f), group(f), or finish() of one of them.
  template <class R>
  [[nodiscard]] auto reduce(R reducer) && {
    return KeyedJob<K, V, Input, Mapper, R>(engine_, std::move(options_),
                                            std::forward<Input>(input_), std::move(mapper_),
                                            std::move(reducer));
  }

  [[nodiscard]] KeyedJob&& memory(std::uint64_t bytes) && {
    options_.memory = bytes;
    return std::move(*this);
  }
  [[nodiscard]] KeyedJob&& spill(std::vector<std::string> folders) && {
    options_.spill = std::move(folders);
    return std::move(*this);
  }
  [[nodiscard]] KeyedJob&& spill(std::vector<std::string> folders, std::uint64_t limit) && {
    options_.spill_limit = limit;
    return std::move(*this).spill(std::move(folders));
  }
  [[nodiscard]] KeyedJob&& compress(CompressionMethod method) && {
    options_.compress = method;
    return std::move(*this);
  }
  [[nodiscard]] KeyedJob&& commit_every(std::uint64_t bytes) && {
    options_.commit_interval = bytes;
    return std::move(*this);
  }
  [[nodiscard]] KeyedJob&& skip_failed(bool skip = true) && {
    options_.skip_failed = skip;
    return std::move(*this);
  }
  [[nodiscard]] KeyedJob&& progress(std::function<void(const Progress&)> function) && {
    options_.call.progress = std::move(function);
    return std::move(*this);
  }
  [[nodiscard]] KeyedJob&& retries(Retries retries) && {
    options_.retries = retries;
    return std::move(*this);
  }
  /// Time limit, priority and the like. Without a function for progress it leaves that of
  /// progress().
  [[nodiscard]] KeyedJob&& options(CallOptions call) && {
    if (!call.progress) call.progress = std::move(options_.call.progress);
    options_.call = std::move(call);
    return std::move(*this);
  }

  /// Does it: a KeyedResult. Throws what Pool::map_reduce_by_key throws.
  [[nodiscard]] auto run() && {
    static_assert(!std::is_same_v<Input, detail::Missing>, "bulkhead: a job needs an input()");
    static_assert(!std::is_same_v<Mapper, detail::Missing>, "bulkhead: a job needs a map()");
    static_assert(!std::is_same_v<Reducer, detail::Missing>, "bulkhead: a job needs a reduce()");
    return detail::KeyedCall<K, V>::run(engine_, input_, mapper_, reducer_, options_);
  }

 private:
  detail::Engine& engine_;
  KeyedOptions options_;
  Input input_;
  Mapper mapper_;
  Reducer reducer_;
};

}  // namespace bulkhead
