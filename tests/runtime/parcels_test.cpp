// SPDX-License-Identifier: MIT
#include <bulkhead/broadcast.hpp>
#include <bulkhead/codec.hpp>
#include <bulkhead/detail/parcels.hpp>

#include <cstdint>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>

namespace bulkhead::detail {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

struct Touchy {
  int value = 0;
};

}  // namespace
}  // namespace bulkhead::detail

template <>
struct bulkhead::Codec<bulkhead::detail::Touchy> {
  static void encode(const detail::Touchy& touchy, ByteWriter& out) {
    out.put(touchy.value);
    if (touchy.value < 0) throw std::domain_error("negative");
  }
  static detail::Touchy decode(ByteReader& in) { return {in.get<int>()}; }
};

namespace bulkhead::detail {
namespace {

template <class T>
T decoded(Parcel parcel) {
  SpanReader in(parcel);
  T value = Codec<T>::decode(in);
  EXPECT_TRUE(in.exhausted());
  return value;
}

ParcelBatch batch_of(std::uint64_t first, std::uint64_t count) {
  ParcelBatch batch;
  for (std::uint64_t i = 0; i < count; ++i) batch.add(first + i);
  return batch;
}

TEST(ParcelBatch, KeepsWhatWasEncodedOfAnySize) {
  std::vector<std::string> texts;
  for (std::size_t size = 0; size < 100000; size = 2 * size + 1) texts.emplace_back(size, 'x');
  ParcelBatch batch;
  for (const std::string& text : texts) batch.add(text);
  const ParcelBatch moved = std::move(batch);
  ASSERT_EQ(moved.size(), texts.size());
  for (std::size_t i = 0; i < texts.size(); ++i)
    EXPECT_EQ(decoded<std::string>(moved[i]), texts[i]);
}

TEST(ParcelBatch, CountsItsMemory) {
  ParcelBatch batch;
  EXPECT_EQ(batch.bytes(), 0U);
  batch.add(std::uint64_t{1});
  EXPECT_LE(batch.bytes(), 1024U);
  for (std::uint64_t i = 0; i < 10000; ++i) batch.add(i);
  EXPECT_GE(batch.bytes(), 10000 * sizeof(std::uint64_t));
  EXPECT_LE(batch.bytes(), 10000 * 32U);
  batch.add(std::string(1000000, 'x'));
  EXPECT_GE(batch.bytes(), 1000000U);
}

TEST(ParcelBatch, KeepsAFailureInItsPlace) {
  ParcelBatch batch;
  for (const int value : {1, -2, 3}) batch.add(Touchy{value});
  ASSERT_EQ(batch.size(), 3U);
  EXPECT_EQ(decoded<Touchy>(batch[0]).value, 1);
  EXPECT_THROW(static_cast<void>(batch[1]), std::domain_error);
  EXPECT_EQ(decoded<Touchy>(batch[2]).value, 3);
}

TEST(ParcelBatch, HoldsTheBroadcastsThatItRefersTo) {
  ParcelBatch batch;
  batch.add(broadcast(std::string(100, 'x')));
  EXPECT_EQ(decoded<Broadcast<char[]>>(batch[0]).size(), 100U);
}

TEST(Parcels, AreFoundByTheirTask) {
  Parcels parcels;
  for (std::uint64_t first = 0; first < 1000; first += 100) parcels.add(batch_of(first, 100));
  parcels.add(ParcelBatch());
  EXPECT_EQ(parcels.known(), 1000U);
  for (const std::uint64_t task : {0U, 999U, 100U, 99U, 550U}) {
    EXPECT_EQ(decoded<std::uint64_t>(parcels[task]), task);
  }
}

TEST(Parcels, LetGoOfWhatIsForgotten) {
  Parcels parcels;
  for (std::uint64_t first = 0; first < 30; first += 10) parcels.add(batch_of(first, 10));
  const std::uint64_t all = parcels.bytes();
  for (std::uint64_t task = 10; task < 20; ++task) parcels.forget(task);
  EXPECT_EQ(parcels.bytes(), all / 3 * 2);
  EXPECT_EQ(decoded<std::uint64_t>(parcels[25]), 25U);
  for (std::uint64_t task = 0; task < 10; ++task) parcels.forget(task);
  for (std::uint64_t task = 20; task < 28; ++task) parcels.forget(task);
  EXPECT_THAT(parcels.open(), ElementsAre(28, 29));
  parcels.forget(29);
  parcels.forget(28);
  EXPECT_EQ(parcels.bytes(), 0U);
  EXPECT_THAT(parcels.open(), IsEmpty());
  EXPECT_EQ(parcels.known(), 30U);
}

}  // namespace
}  // namespace bulkhead::detail
