// SPDX-License-Identifier: MIT
//
// What a worker keeps of the broadcasts that it was sent.
//
//   the memfd    0      BroadcastWords, the one page that its maker can still write
//                4096   the bytes, which nobody can
#pragma once

#include <bulkhead/broadcast.hpp>

#include <atomic>
#include <cstdint>

namespace bulkhead::detail {

/// Memory that was to be shared is not there: its maker has ended, or has no handle of it any more.
class NotShared : public DecodeError {
 public:
  using DecodeError::DecodeError;
};

struct BroadcastWords {
  std::atomic<std::uint32_t> given_up;  ///< 1: the maker has no handle any more, or will not tell
};

/// From now on this process, a worker, keeps what it finds.
void keep_broadcasts();
/// Lets go of those that were given up.
void forget_broadcasts();

/// True if something that was made here, in a worker, has been encoded: the other side must open it
/// while it lasts.
inline bool lends_broadcasts = false;
/// The other side has.
void end_loans();

/// While it lasts, what this thread decodes are results of its own workers: broadcasts in them may
/// be the workers', and must be opened while those last.
class TakingResults {
 public:
  TakingResults();
  TakingResults(const TakingResults&) = delete;
  TakingResults& operator=(const TakingResults&) = delete;
  ~TakingResults();
  /// True while one lasts in this thread.
  [[nodiscard]] static bool present();

 private:
  bool before_;
};

}  // namespace bulkhead::detail
