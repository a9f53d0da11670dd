// SPDX-License-Identifier: MIT
//
// The result of a keyed job as the input of another: workers read it where it lies.
#pragma once

#include <bulkhead/codec.hpp>
#include <bulkhead/detail/callable.hpp>
#include <bulkhead/detail/key_bytes.hpp>
#include <bulkhead/detail/keyed_job.hpp>
#include <bulkhead/detail/slice_merge.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

namespace bulkhead::detail {

class ResultPieces final : public PieceSource {
 public:
  ResultPieces(std::shared_ptr<RunStore> store, const std::vector<std::vector<Slice>>& partitions);
  std::optional<Piece> next() override;
  [[nodiscard]] std::optional<std::uint64_t> weight() const override { return weight_; }

 private:
  const std::shared_ptr<RunStore> store_;
  std::vector<Slice> slices_;
  std::uint64_t weight_ = 0;
  std::size_t next_ = 0;
};

/// What a task is told of a slice.
struct ResultPart {
  RunTicket ticket;
  Slice slice;
};

template <class K, class V>
struct ResultReader {
  using Item = std::pair<K, V>;

  std::unique_ptr<RunFiles> files{};

  template <class Use>
  void read(TaskCall& task, Use use) {
    const auto part = task.argument.get<ResultPart>();
    if (!files) files = std::make_unique<RunFiles>(part.ticket);  // a call reads one result
    task.enter(TaskPhase::running);
    SliceMerge<V> merge(*files, part.slice);
    while (merge.next([&](std::string_view key, V value) {
      use(std::pair<K, V>(key_of<K>(key), std::move(value)));
    })) {
    }
  }
};

}  // namespace bulkhead::detail
