// SPDX-License-Identifier: MIT
//
// The payload of a `define` frame: see serialization/README.md.
#pragma once

#include "worker/module.hpp"
#include <bulkhead/bytes.hpp>
#include <bulkhead/detail/job.hpp>
#include <bulkhead/options.hpp>

#include <cstddef>
#include <cstdint>
#include <vector>

namespace bulkhead::detail {

/// True if all calls with these options are alike to a worker.
inline bool has_usual_terms(const CallOptions& options) {
  return !options.timeout && options.seed == 0;
}

/// `token_of` finds the token of a code address. Throws what it throws, and what the codec of the
/// functor's state does.
template <class TokenOf>
std::vector<std::byte> encode_definition(const Job& job, const CallOptions& options,
                                         TokenOf token_of) {
  SpillWriter out({});
  out.put(token_of(reinterpret_cast<const void*>(job.describe())));
  out.put(job.function() != nullptr ? token_of(job.function()) : ModuleToken{});
  out.put(options.timeout ? std::int64_t{options.timeout->count()} : 0);
  out.put(options.seed);
  out.put(std::uint64_t{job.numbers_tasks() ? 1U : 0U});
  job.encode_state(out);
  return out.take();
}

}  // namespace bulkhead::detail
