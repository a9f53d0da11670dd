// SPDX-License-Identifier: MIT
#include <bulkhead/detail/parcels.hpp>

#include <algorithm>

namespace bulkhead::detail {

void ParcelBatch::begin_chunk() {
  const std::size_t size = std::exchange(next_chunk_, std::min(2 * next_chunk_, kMostChunk));
  left_ = {chunks_.emplace_back(std::make_unique_for_overwrite<std::byte[]>(size)).get(), size};
  bytes_ += size;
}

void ParcelBatch::place(std::vector<std::byte> large) {
  bytes_ += large.size();
  parcels_.emplace_back(large_.emplace_back(std::move(large)));
}

void ParcelBatch::rethrow_failure(std::uint64_t index) const {
  const auto found = std::find_if(failures_.begin(), failures_.end(),
                                  [index](const auto& each) { return each.first == index; });
  if (found != failures_.end()) std::rethrow_exception(found->second);
}

void Parcels::add(ParcelBatch batch) {
  const std::uint64_t count = batch.size();
  if (count == 0) return;
  bytes_ += batch.bytes();
  batches_.emplace(known_, Kept{known_, std::move(batch)});
  known_ += count;
  left_ += count;
}

void Parcels::forget(std::uint64_t task) {
  auto& kept = const_cast<Kept&>(find(task));
  kept.forgotten[task - kept.first] = true;
  --left_;
  if (--kept.left != 0) return;
  bytes_ -= kept.batch.bytes();
  last_ = nullptr;
  batches_.erase(kept.first);
}

void Parcels::spoil(std::uint64_t task, std::exception_ptr why) {
  const auto after = batches_.upper_bound(task);
  if (after == batches_.begin()) return;
  Kept& kept = std::prev(after)->second;
  const std::uint64_t index = task - kept.first;
  if (index < kept.batch.size() && !kept.forgotten[index]) kept.batch.spoil(index, std::move(why));
}

std::vector<std::uint64_t> Parcels::open() const {
  std::vector<std::uint64_t> tasks;
  for (const auto& [first, kept] : batches_) {
    for (std::uint64_t i = 0; i < kept.batch.size(); ++i) {
      if (!kept.forgotten[i]) tasks.push_back(first + i);
    }
  }
  return tasks;
}

}  // namespace bulkhead::detail
