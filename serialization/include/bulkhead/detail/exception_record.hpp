// SPDX-License-Identifier: MIT
//
// The exception of a task as bytes: caught and described in the worker, read in the coordinator,
// which does not trust what it reads.
#pragma once

#include <bulkhead/bytes.hpp>
#include <bulkhead/failure.hpp>

namespace bulkhead::detail {

/// Texts longer than this are cut, with a note of their full length.
inline constexpr std::size_t kMaxMessageBytes = 1 << 20;
/// Exceptions nested deeper than this are left out.
inline constexpr std::size_t kMaxNestedExceptions = 16;

/// Describes the exception that is being handled; call it inside a catch block. Fills the fields
/// message, standard_type, type_name, category, error_value, nested and kind. Never throws anything
/// but bad_alloc.
[[nodiscard]] FailureDetails describe_current_exception();

/// Writes what describe_current_exception() filled, and `task`.
void encode_exception(const FailureDetails& details, ByteWriter& out);

/// Reads it back. Throws DecodeError if the bytes make no sense.
[[nodiscard]] FailureDetails decode_exception(ByteReader& in);

}  // namespace bulkhead::detail
