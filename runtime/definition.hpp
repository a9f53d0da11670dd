// SPDX-License-Identifier: MIT
//
// The payload of a `define` frame: see serialization/README.md.
#pragma once

#include "runtime/time.hpp"
#include "worker/module.hpp"
#include <bulkhead/bytes.hpp>
#include <bulkhead/detail/job.hpp>

#include <cstddef>
#include <cstdint>
#include <vector>

namespace bulkhead::detail {

/// `token_of` finds the token of a code address. Throws what it throws, and what the codec of the
/// functor's state does.
template <class TokenOf>
std::vector<std::byte> encode_definition(const Job& job, TimeLimit limit, TokenOf token_of) {
  SpillWriter out({});
  out.put(token_of(reinterpret_cast<const void*>(job.describe())));
  out.put(job.function() != nullptr ? token_of(job.function()) : ModuleToken{});
  out.put(limit ? std::int64_t{limit->count()} : 0);
  job.encode_state(out);
  return out.take();
}

}  // namespace bulkhead::detail
