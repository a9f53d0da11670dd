// SPDX-License-Identifier: MIT
#include "serialization/replay_record.hpp"

#include "serialization/checksum.hpp"
#include <bulkhead/codec.hpp>
#include <bulkhead/error.hpp>

#include <algorithm>
#include <cstring>
#include <string_view>

namespace bulkhead::detail {
namespace {

constexpr std::string_view kMagic = "bulkhead replay\n";
constexpr std::uint32_t kVersion = 1;

using Check = std::uint64_t;

/// The bytes between magic and check, if those are right.
std::span<const std::byte> checked(std::span<const std::byte> file) {
  const std::size_t known = std::min(file.size(), kMagic.size());
  if (known == 0 || std::memcmp(file.data(), kMagic.data(), known) != 0) {
    throw DecodeError("it is no file of a failed task");
  }
  Checksum sum;
  Check check = 0;
  if (file.size() >= kMagic.size() + sizeof check) {
    const std::span body = file.first(file.size() - sizeof check);
    std::memcpy(&check, body.data() + body.size(), sizeof check);
    sum.add(body);
    if (sum.value() == check) return body.subspan(kMagic.size());
  }
  throw DecodeError("it is damaged, or not complete");
}

}  // namespace

void write_replay_head(const ReplayRecord& record, ByteWriter& out) {
  out.write(kMagic.data(), kMagic.size());
  out.put(kVersion);
  out.put(record.task);
  out.put(record.attempt);
  Codec<std::string>::encode(record.failure, out);
  Codec<std::string>::encode(record.program, out);
  Codec<std::string>::encode(record.module, out);
  Codec<std::vector<std::byte>>::encode(record.definition, out);
}

ReplayRecord read_replay(std::span<const std::byte> file) {
  SpanReader in(checked(file));
  const auto version = in.get<std::uint32_t>();
  if (version != kVersion) {
    throw DecodeError("it is of another version of bulkhead (format " + std::to_string(version) +
                      ", here " + std::to_string(kVersion) + ")");
  }
  ReplayRecord record;
  record.task = in.get<std::uint64_t>();
  record.attempt = in.get<std::int32_t>();
  record.failure = Codec<std::string>::decode(in);
  record.program = Codec<std::string>::decode(in);
  record.module = Codec<std::string>::decode(in);
  record.definition = Codec<std::vector<std::byte>>::decode(in);
  record.argument.resize(in.available());
  in.read(record.argument.data(), record.argument.size());
  return record;
}

}  // namespace bulkhead::detail
