// SPDX-License-Identifier: MIT
//
// Parcels: the encoded arguments of tasks, kept until these are settled. Where a call's elements
// come one by one they are encoded as they come, by the thread that brings them and without a lock;
// so it is known how much memory they take, and nothing of the user's has to be kept.
#pragma once

#include <bulkhead/bytes.hpp>
#include <bulkhead/codec.hpp>
#include <bulkhead/detail/cell.hpp>
#include <bulkhead/detail/kept_loans.hpp>

#include <cstddef>
#include <cstdint>
#include <exception>
#include <iterator>
#include <map>
#include <memory>
#include <span>
#include <utility>
#include <vector>

namespace bulkhead::detail {

using Parcel = std::span<const std::byte>;

/// Consecutive parcels.
class ParcelBatch {
 public:
  /// An argument as its codec writes it. Whatever that throws is kept in its place.
  template <class T>
  void add(const T& argument) {
    if constexpr (FitsCell<T>) {
      put_argument(room().data(), argument);
      place(sizeof argument);
    } else {
      encode(argument);
    }
  }

  [[nodiscard]] std::uint64_t size() const { return parcels_.size(); }
  [[nodiscard]] bool empty() const { return parcels_.empty(); }
  /// Memory that they take.
  [[nodiscard]] std::uint64_t bytes() const { return bytes_ + size() * sizeof(Parcel); }
  void spoil(std::uint64_t index, std::exception_ptr why) {
    failures_.emplace_back(index, std::move(why));
  }
  /// Throws what kept it from being encoded.
  [[nodiscard]] Parcel operator[](std::uint64_t index) const {
    if (!failures_.empty()) [[unlikely]]
      rethrow_failure(index);
    return parcels_[index];
  }

 private:
  static constexpr std::size_t kLeastChunk = 512;
  static constexpr std::size_t kMostChunk = std::size_t{16} << 10;
  /// A chunk with less room is left as it is.
  static constexpr std::size_t kLeastRoom = 128;

  template <class T>
  void encode(const T& argument) {
    KeptLoans loans;
    SpillWriter out(room());
    try {
      Codec<T>::encode(argument, out);
    } catch (...) {
      failures_.emplace_back(parcels_.size(), std::current_exception());
      parcels_.emplace_back();
      return;
    }
    for (auto& loan : loans.take()) loans_.push_back(std::move(loan));
    if (out.spilled()) {
      place(out.take());
    } else {
      place(out.size());
    }
  }

  std::span<std::byte> room() {
    if (left_.size() < kLeastRoom) [[unlikely]]
      begin_chunk();
    return left_;
  }
  void place(std::size_t used) {
    parcels_.emplace_back(left_.first(used));
    left_ = left_.subspan(used);
  }
  void begin_chunk();
  void place(std::vector<std::byte> large);
  void rethrow_failure(std::uint64_t index) const;

  std::vector<Parcel> parcels_;
  std::vector<std::unique_ptr<std::byte[]>> chunks_;
  std::vector<std::vector<std::byte>> large_;
  std::vector<std::pair<std::uint64_t, std::exception_ptr>> failures_;
  KeptLoans::Loans loans_;
  std::span<std::byte> left_;  ///< of the last chunk
  std::size_t next_chunk_ = kLeastChunk;
  std::uint64_t bytes_ = 0;
};

/// Those of a call, by the index of the task. Under the engine's lock.
class Parcels {
 public:
  void add(ParcelBatch batch);
  /// No more will come.
  void close() { closed_ = true; }

  [[nodiscard]] std::uint64_t known() const { return known_; }
  /// Those that have not been forgotten.
  [[nodiscard]] std::uint64_t left() const { return left_; }
  [[nodiscard]] bool closed() const { return closed_; }
  /// Memory that those take which have not been forgotten.
  [[nodiscard]] std::uint64_t bytes() const { return bytes_; }
  /// One that has not been forgotten. Throws what kept it from being encoded.
  [[nodiscard]] Parcel operator[](std::uint64_t task) const {
    const Kept& kept = find(task);
    return kept.batch[task - kept.first];
  }
  void forget(std::uint64_t task);
  /// From now on it throws `why`, if it has not been forgotten.
  void spoil(std::uint64_t task, std::exception_ptr why);
  /// The tasks that have not been forgotten.
  [[nodiscard]] std::vector<std::uint64_t> open() const;

  // How many are asked for: so many that the workers could be given all at once.
  void ask_for(std::uint64_t known) { asked_ = known; }
  [[nodiscard]] std::uint64_t asked() const { return asked_; }

 private:
  struct Kept {
    std::uint64_t first = 0;
    ParcelBatch batch;
    std::vector<bool> forgotten = std::vector<bool>(batch.size());
    std::uint64_t left = batch.size();
  };

  /// Mostly the same batch as the last time.
  [[nodiscard]] const Kept& find(std::uint64_t task) const {
    if (last_ == nullptr || task - last_->first >= last_->batch.size()) [[unlikely]]
      last_ = &std::prev(batches_.upper_bound(task))->second;
    return *last_;
  }

  std::map<std::uint64_t, Kept> batches_;  ///< by the first task
  mutable const Kept* last_ = nullptr;
  std::uint64_t known_ = 0;
  std::uint64_t left_ = 0;
  std::uint64_t bytes_ = 0;
  std::uint64_t asked_ = 0;
  bool closed_ = false;
};

}  // namespace bulkhead::detail
