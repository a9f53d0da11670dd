// SPDX-License-Identifier: MIT
//
// How a call takes the answers of a worker. The worker is the test itself.
#include "tests/support/ring_ends.hpp"
#include <bulkhead/detail/calls.hpp>
#include <bulkhead/detail/map_job.hpp>

#include <cstddef>
#include <cstdint>
#include <vector>

#include <gtest/gtest.h>

namespace bulkhead::detail {
namespace {

constexpr std::uint32_t kCallable = 3;
constexpr std::uint64_t kCell = kResultCell<std::int64_t>;

std::int64_t same(std::int64_t x) {
  return x;
}

class MapJobTest : public testing::Test {
 protected:
  using Call = TravellingCall<std::int64_t (*)(std::int64_t), std::int64_t, false>;

  /// Publishes the results 100, 101, ... of tasks 0, 1, ... in one run.
  void worker_answers(std::uint64_t count) {
    results_ = ring_.writer.reserve(count * kCell);
    FrameHeader header;
    header.kind = FrameKind::values;
    header.more = kCell / kFrameAlign;
    header.length = static_cast<std::uint32_t>(count * kCell);
    header.callable = kCallable;
    ring_.writer.open(header);
    for (std::uint64_t task = 0; task < count; ++task) {
      put_result(results_ + task * kCell, static_cast<std::int64_t>(100 + task), task);
    }
    ring_.writer.close(count * kCell);
    ring_.writer.commit();
  }

  test::RingEnds ring_{1024};
  std::byte* results_ = nullptr;
  Call call_{&same};
  MapJob<Call, std::vector<std::int64_t>, Outcomes<std::int64_t>> job_{
      call_, std::vector<std::int64_t>(5)};
};

TEST_F(MapJobTest, TakesAWholeRun) {
  worker_answers(5);
  EXPECT_EQ(job_.decode(ring_.reader, kCallable, {0, 5}).count, 5U);
  EXPECT_FALSE(ring_.reader.pending());
}

// All of these tasks have run: none may be run again.
TEST_F(MapJobTest, FailsTheTasksOfARunWhoseResultsAreDamagedAndNoOthers) {
  worker_answers(5);
  results_[0] ^= std::byte{1};
  results_[3 * kCell] ^= std::byte{1};
  const Settled settled = job_.decode(ring_.reader, kCallable, {0, 5});
  EXPECT_EQ(settled.count, 5U);
  EXPECT_EQ(settled.failed, 2U);
  EXPECT_EQ(settled.lowest_failed, 0U);
}

TEST_F(MapJobTest, TakesNoRunOfAnotherCallNorOfOtherTasks) {
  worker_answers(5);
  EXPECT_EQ(job_.decode(ring_.reader, kCallable + 1, {0, 5}).count, 0U);
  EXPECT_EQ(job_.decode(ring_.reader, kCallable, {1, 4}).count, 0U);
  EXPECT_EQ(job_.decode(ring_.reader, kCallable, {0, 4}).count, 0U);
}

}  // namespace
}  // namespace bulkhead::detail
