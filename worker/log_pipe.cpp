// SPDX-License-Identifier: MIT
#include "worker/log_pipe.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <unistd.h>

namespace bulkhead::detail {
namespace {

struct LogHeader {
  std::uint32_t bytes = 0;
  std::uint32_t level = 0;
  std::uint64_t task = 0;
};
static_assert(sizeof(LogHeader) == 16);

constexpr std::size_t kMostText = std::size_t{64} << 10;
/// After so many bytes others are looked after.
constexpr std::size_t kTurn = std::size_t{1} << 20;

}  // namespace

void LogSender::send(std::uint32_t level, std::string_view text) {
  const std::lock_guard lock(mutex_);
  text = text.substr(0, kMostText);
  const LogHeader header{static_cast<std::uint32_t>(text.size()), level, running_()};
  message_.resize(sizeof header + text.size());
  std::memcpy(message_.data(), &header, sizeof header);
  text.copy(message_.data() + sizeof header, text.size());
  for (std::size_t sent = 0; sent < message_.size();) {
    const ssize_t step = ::write(fd_.get(), message_.data() + sent, message_.size() - sent);
    if (step < 0 && errno != EINTR) return;
    sent += static_cast<std::size_t>(std::max<ssize_t>(step, 0));
  }
}

bool LogPipe::read(const Take& take) {
  for (std::size_t taken = 0; taken < kTurn;) {
    std::array<char, 4096> chunk;
    const ssize_t size = ::read(fd(), chunk.data(), chunk.size());
    if (size <= 0) return true;
    taken += static_cast<std::size_t>(size);
    bytes_.insert(bytes_.end(), chunk.data(), chunk.data() + size);
    const std::size_t used = take_messages(take);
    bytes_.erase(bytes_.begin(), bytes_.begin() + static_cast<std::ptrdiff_t>(used));
  }
  return false;
}

/// Bytes of whole messages; all of them where the worker has written nonsense.
std::size_t LogPipe::take_messages(const Take& take) const {
  std::size_t at = 0;
  for (LogHeader header; bytes_.size() - at >= sizeof header; at += sizeof header + header.bytes) {
    std::memcpy(&header, bytes_.data() + at, sizeof header);
    if (header.bytes > kMostText) return bytes_.size();
    if (bytes_.size() - at - sizeof header < header.bytes) break;
    take(header.level, header.task, {bytes_.data() + at + sizeof header, header.bytes});
  }
  return at;
}

}  // namespace bulkhead::detail
