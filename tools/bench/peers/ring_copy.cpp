// SPDX-License-Identifier: MIT
// The floor of `noop` and `large`: processes that do nothing but copy, through one bare ring in
// shared memory each way. They spin while there is nothing to copy, and yield when that lasts.
// Nobody is told which value is whose, nobody ever sleeps, and no death would be noticed.

#include "bench.hpp"
#include "peers/two_processes.hpp"
#include "workloads.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <sched.h>
#include <span>
#include <utility>
#include <vector>

namespace {

using Numbers = std::vector<std::int64_t>;

constexpr int kSpins = 2000;  // before the core is offered to others

/// One writer, one reader. Bytes [read_, written_) modulo kRingBytes belong to the reader.
template <std::size_t kRingBytes>
class Ring {
 public:
  static constexpr std::size_t kPieceBytes = kRingBytes / 8;  // published at once

  /// Copies a part of `bytes` that fits now, and returns how many bytes that was.
  std::size_t push(std::span<const std::byte> bytes) {
    const std::uint64_t written = written_.load(std::memory_order_relaxed);
    const std::size_t room = kRingBytes - (written - read_.load(std::memory_order_acquire));
    const std::size_t part = piece(written, std::min(room, bytes.size()));
    if (part == 0) return 0;
    std::memcpy(data_ + written % kRingBytes, bytes.data(), part);
    written_.store(written + part, std::memory_order_release);
    return part;
  }

  /// Gives a part, of at most `wanted`, to `taker`, and returns how many bytes that was.
  template <typename Taker>
  std::size_t pop(std::size_t wanted, Taker taker) {
    const std::uint64_t read = read_.load(std::memory_order_relaxed);
    const std::size_t ready = written_.load(std::memory_order_acquire) - read;
    const std::size_t part = piece(read, std::min(ready, wanted));
    if (part == 0) return 0;
    taker(std::span<const std::byte>(data_ + read % kRingBytes, part));
    read_.store(read + part, std::memory_order_release);
    return part;
  }

 private:
  /// What may be copied in one stretch from `position` on: never past the end of the ring.
  static std::size_t piece(std::uint64_t position, std::size_t bytes) {
    return std::min({bytes, kPieceBytes, kRingBytes - position % kRingBytes});
  }

  alignas(64) std::atomic<std::uint64_t> written_{0};
  alignas(64) std::atomic<std::uint64_t> read_{0};
  alignas(64) std::byte data_[kRingBytes];
};

template <std::size_t kRingBytes>
struct Rings {
  Ring<kRingBytes> there;
  Ring<kRingBytes> back;
};

using LargeRings = Rings<std::size_t{1024} * 1024>;
using NumberRings = Rings<std::size_t{64} * 1024>;  // both of them stay in the caches of a core

/// Counts fruitless tries, and offers the core to others after each kSpins of them.
class Patience {
 public:
  void tried(std::size_t moved) {
    fruitless_ = moved == 0 ? fruitless_ + 1 : 0;
    if (fruitless_ == kSpins) {
      ::sched_yield();
      fruitless_ = 0;
    }
  }

 private:
  int fruitless_ = 0;
};

auto append_to(bench::Bytes& bytes) {
  return [&bytes](std::span<const std::byte> part) {
    bytes.insert(bytes.end(), part.begin(), part.end());
  };
}

template <typename Ring>
void push_all(Ring& ring, std::span<const std::byte> bytes, Patience& patience) {
  while (!bytes.empty()) {
    const std::size_t moved = ring.push(bytes);
    bytes = bytes.subspan(moved);
    patience.tried(moved);
  }
}

/// The child: takes each item whole, changes it and sends it back.
void serve_items(LargeRings& rings) {
  Patience patience;
  bench::Bytes item;
  for (;;) {
    item.clear();
    item.reserve(bench::kLargeBytes);
    while (item.size() < bench::kLargeBytes) {
      patience.tried(rings.there.pop(bench::kLargeBytes - item.size(), append_to(item)));
    }
    item = bench::increment_first(std::move(item));
    push_all(rings.back, item, patience);
  }
}

/// Copies all items to the child and the results from it, both at the same time.
std::vector<bench::Bytes> map(LargeRings& rings, const std::vector<bench::Bytes>& items) {
  std::vector<bench::Bytes> results;
  results.reserve(items.size());
  Patience patience;
  auto next = items.begin();
  std::span<const std::byte> sending;
  bench::Bytes result;
  while (results.size() < items.size()) {
    if (sending.empty() && next != items.end()) sending = *next++;
    const std::size_t sent = rings.there.push(sending);
    sending = sending.subspan(sent);

    result.reserve(bench::kLargeBytes);
    const std::size_t got = rings.back.pop(bench::kLargeBytes - result.size(), append_to(result));
    if (result.size() == bench::kLargeBytes) results.push_back(std::exchange(result, {}));
    patience.tried(sent + got);
  }
  return results;
}

bench::Figure large(const bench::Request& request) {
  bench::Shared<LargeRings> rings;
  const bench::Child child([&] { serve_items(*rings); });
  return bench::large(request, [&](const auto& items) { return map(*rings, items); });
}

/// The child: numbers, as many as have come, are taken, changed and sent back.
void serve_numbers(NumberRings& rings) {
  Patience patience;
  std::array<std::int64_t, decltype(rings.there)::kPieceBytes / sizeof(std::int64_t)> numbers{};
  for (;;) {
    const std::size_t got = rings.there.pop(sizeof numbers, [&](std::span<const std::byte> part) {
      std::memcpy(numbers.data(), part.data(), part.size());
    });
    patience.tried(got);
    const std::span part(numbers.data(), got / sizeof(std::int64_t));
    std::transform(part.begin(), part.end(), part.begin(), bench::increment);
    push_all(rings.back, std::as_bytes(part), patience);
  }
}

/// A process with a ring each way, and what it still has to get and to give of its part.
class NumberServer {
 public:
  void begin(std::span<const std::int64_t> arguments, std::span<std::int64_t> results) {
    sending_ = std::as_bytes(arguments);
    missing_ = std::as_writable_bytes(results);
  }

  [[nodiscard]] bool done() const { return missing_.empty(); }

  /// How many bytes could be moved, both ways.
  std::size_t exchange() {
    const std::size_t sent = rings_->there.push(sending_);
    sending_ = sending_.subspan(sent);
    const std::size_t got = rings_->back.pop(missing_.size(), [&](std::span<const std::byte> part) {
      std::memcpy(missing_.data(), part.data(), part.size());
    });
    missing_ = missing_.subspan(got);
    return sent + got;
  }

 private:
  bench::Shared<NumberRings> rings_;
  std::span<const std::byte> sending_;
  std::span<std::byte> missing_;
  bench::Child child_{[this] { serve_numbers(*rings_); }};
};

/// Each child has an equal part of the numbers, known beforehand.
Numbers map(std::vector<std::unique_ptr<NumberServer>>& servers, const Numbers& arguments) {
  Numbers results(arguments.size());
  for (std::size_t i = 0; i < servers.size(); ++i) {
    const std::size_t begin = arguments.size() * i / servers.size();
    const std::size_t count = arguments.size() * (i + 1) / servers.size() - begin;
    servers[i]->begin(std::span(arguments).subspan(begin, count),
                      std::span(results).subspan(begin, count));
  }
  Patience patience;
  const auto done = [](const auto& server) { return server->done(); };
  while (!std::all_of(servers.begin(), servers.end(), done)) {
    std::size_t moved = 0;
    for (const auto& server : servers) moved += server->exchange();
    patience.tried(moved);
  }
  return results;
}

bench::Figure noop(const bench::Request& request) {
  std::vector<std::unique_ptr<NumberServer>> servers(request.workers);
  for (auto& server : servers) server = std::make_unique<NumberServer>();
  return bench::noop(request, [&](const Numbers& numbers) { return map(servers, numbers); });
}

}  // namespace

int main(int argc, char** argv) {
  return bench::run_program(argc, argv, {{"noop", noop}, {"large", large}});
}
