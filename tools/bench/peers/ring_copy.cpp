// SPDX-License-Identifier: MIT
// The floor of `large`: two processes that do nothing but copy, through one ring of 1 MiB in
// shared memory each way. They spin while there is nothing to copy, and yield when that lasts.

#include "bench.hpp"
#include "peers/two_processes.hpp"
#include "workloads.hpp"

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <sched.h>
#include <span>
#include <utility>
#include <vector>

namespace {

constexpr std::size_t kRingBytes = std::size_t{1024} * 1024;
constexpr std::size_t kPieceBytes = kRingBytes / 8;  // published at once, so both sides can copy
constexpr int kSpins = 2000;                         // before the core is offered to others

/// One writer, one reader. Bytes [read_, written_) modulo kRingBytes belong to the reader.
class Ring {
 public:
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

  /// Appends to `bytes` a part, of at most `wanted`, and returns how many bytes that was.
  std::size_t pop(std::vector<std::byte>& bytes, std::size_t wanted) {
    const std::uint64_t read = read_.load(std::memory_order_relaxed);
    const std::size_t ready = written_.load(std::memory_order_acquire) - read;
    const std::size_t part = piece(read, std::min(ready, wanted));
    if (part == 0) return 0;
    const std::byte* from = data_ + read % kRingBytes;
    bytes.insert(bytes.end(), from, from + part);
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

struct Rings {
  Ring there;
  Ring back;
};

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

/// The child: takes each item whole, changes it and sends it back.
void serve(Rings& rings) {
  Patience patience;
  std::vector<std::byte> item;
  for (;;) {
    item.clear();
    item.reserve(bench::kLargeBytes);
    while (item.size() < bench::kLargeBytes) {
      patience.tried(rings.there.pop(item, bench::kLargeBytes - item.size()));
    }
    item = bench::increment_first(std::move(item));
    for (std::span<const std::byte> rest(item); !rest.empty();) {
      const std::size_t moved = rings.back.push(rest);
      rest = rest.subspan(moved);
      patience.tried(moved);
    }
  }
}

/// Copies all items to the child and the results from it, both at the same time.
std::vector<bench::Bytes> map(Rings& rings, const std::vector<bench::Bytes>& items) {
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
    const std::size_t got = rings.back.pop(result, bench::kLargeBytes - result.size());
    if (result.size() == bench::kLargeBytes) results.push_back(std::exchange(result, {}));
    patience.tried(sent + got);
  }
  return results;
}

bench::Figure large(const bench::Request& request) {
  bench::Shared<Rings> rings;
  const bench::Child child([&] { serve(*rings); });
  return bench::large(request, [&](const auto& items) { return map(*rings, items); });
}

}  // namespace

int main(int argc, char** argv) {
  return bench::run_program(argc, argv, {{"large", large}});
}
