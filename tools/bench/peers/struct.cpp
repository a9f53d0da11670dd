// SPDX-License-Identifier: MIT
// A record with strings and vectors, some 400 bytes, to bytes and back: by bulkhead's codec, and by
// cereal's BinaryArchive over a stringstream, which is new for each record or one for all.

#include "bench.hpp"
#include <bulkhead/bytes.hpp>
#include <bulkhead/codec.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include <cereal/archives/binary.hpp>
#include <cereal/types/string.hpp>
#include <cereal/types/vector.hpp>

namespace {

struct Record {
  std::int64_t id = 0;
  double weight = 0;
  bool valid = false;
  std::string name;
  std::string comment;
  std::vector<std::string> tags;
  std::vector<double> samples;
  std::vector<std::int32_t> neighbours;

  template <class Archive>
  void serialize(Archive& archive) {
    archive(id, weight, valid, name, comment, tags, samples, neighbours);
  }
  bool operator==(const Record&) const = default;
};

constexpr std::size_t kRecords = 64;  // different ones, encoded in turn

std::vector<Record> make_records() {
  std::vector<Record> records(kRecords);
  for (std::size_t i = 0; i < kRecords; ++i) {
    Record& record = records[i];
    record.id = static_cast<std::int64_t>(i);
    record.weight = static_cast<double>(i) / 3;
    record.valid = i % 2 == 0;
    record.name = "record number " + std::to_string(i);
    record.comment = "a sentence that is longer than what a string holds without memory of its own";
    record.tags = {"red", "a tag that is a little longer", "x", std::to_string(i * i)};
    for (int n = 0; n < 16; ++n) record.samples.push_back(record.weight * n);
    for (int n = 0; n < 12; ++n) record.neighbours.push_back(n * n);
  }
  return records;
}

/// Memory of fixed size to encode into, like a ring.
class Buffer final : public bulkhead::ByteWriter {
 public:
  Buffer() { clear(); }

  void clear() {
    at_ = memory_.data();
    end_ = memory_.data() + memory_.size();
  }
  [[nodiscard]] std::span<const std::byte> bytes() const {
    return {memory_.data(), static_cast<std::size_t>(at_ - memory_.data())};
  }

 private:
  void write_slow(const std::byte*, std::size_t) override { bench::fail("the buffer is full"); }

  std::array<std::byte, 4096> memory_;
};

/// Encodes into the same memory again and again.
class Bulkhead {
 public:
  using Encoded = std::vector<std::byte>;

  std::size_t encode(const Record& record) {
    buffer_.clear();
    bulkhead::Codec<Record>::encode(record, buffer_);
    return buffer_.bytes().size();
  }
  [[nodiscard]] Encoded last() const { return {buffer_.bytes().begin(), buffer_.bytes().end()}; }
  static Record decode(const Encoded& bytes) {
    bulkhead::SpanReader reader(bytes);
    return bulkhead::Codec<Record>::decode(reader);
  }

 private:
  Buffer buffer_;
};

/// A stream for each record.
class Cereal {
 public:
  using Encoded = std::string;

  std::size_t encode(const Record& record) {
    std::stringstream stream;
    cereal::BinaryOutputArchive archive(stream);
    archive(record);
    encoded_ = std::move(stream).str();
    return encoded_.size();
  }
  [[nodiscard]] const Encoded& last() const { return encoded_; }
  static Record decode(const Encoded& bytes) {
    std::stringstream stream(bytes);
    cereal::BinaryInputArchive archive(stream);
    Record record;
    archive(record);
    return record;
  }

 private:
  std::string encoded_;
};

/// One stream for all records, rewound for each.
class CerealOneStream {
 public:
  using Encoded = std::string;

  std::size_t encode(const Record& record) {
    stream_.seekp(0);
    cereal::BinaryOutputArchive archive(stream_);
    archive(record);
    return static_cast<std::size_t>(stream_.tellp());
  }
  [[nodiscard]] Encoded last() {
    return stream_.str().substr(0, static_cast<std::size_t>(stream_.tellp()));
  }
  Record decode(const Encoded& bytes) {
    stream_.str(bytes);
    cereal::BinaryInputArchive archive(stream_);
    Record record;
    archive(record);
    return record;
  }

 private:
  std::stringstream stream_;
};

/// Every record encoded, and checked to come back as it was.
template <typename Format>
std::vector<typename Format::Encoded> encode_all(Format& format,
                                                 const std::vector<Record>& records) {
  std::vector<typename Format::Encoded> encoded;
  for (const Record& record : records) {
    format.encode(record);
    encoded.push_back(format.last());
  }
  for (std::size_t i = 0; i < records.size(); ++i) {
    bench::require(format.decode(encoded[i]) == records[i], "a record came back changed");
  }
  return encoded;
}

template <typename Format>
bench::Figure encode(const bench::Request& request) {
  Format format;
  const auto records = make_records();
  const auto encoded = encode_all(format, records);

  std::size_t bytes = 0;
  const double taken = bench::seconds([&] {
    for (std::size_t i = 0; i < request.size; ++i) bytes += format.encode(records[i % kRecords]);
  });
  std::size_t expected = 0;
  for (std::size_t i = 0; i < request.size; ++i) expected += encoded[i % kRecords].size();
  bench::require(bytes == expected, "wrong number of bytes");
  const double each = static_cast<double>(bytes) / static_cast<double>(request.size);
  return {taken / static_cast<double>(request.size) * 1e9, "ns", {{"bytes", each}}};
}

template <typename Format>
bench::Figure decode(const bench::Request& request) {
  Format format;
  const auto records = make_records();
  const auto encoded = encode_all(format, records);

  std::size_t wrong = 0;
  const double taken = bench::seconds([&] {
    for (std::size_t i = 0; i < request.size; ++i) {
      const Record record = format.decode(encoded[i % kRecords]);
      if (record.id != records[i % kRecords].id) ++wrong;
    }
  });
  bench::require(wrong == 0, "wrong records");
  return {taken / static_cast<double>(request.size) * 1e9, "ns"};
}

}  // namespace

int main(int argc, char** argv) {
  return bench::run_program(argc, argv,
                            {{"bulkhead-encode", encode<Bulkhead>},
                             {"bulkhead-decode", decode<Bulkhead>},
                             {"cereal-encode", encode<Cereal>},
                             {"cereal-decode", decode<Cereal>},
                             {"cereal-one-stream-encode", encode<CerealOneStream>},
                             {"cereal-one-stream-decode", decode<CerealOneStream>}});
}
