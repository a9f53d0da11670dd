// SPDX-License-Identifier: MIT
//
// The connections that are open, and whether the service is about to end.
#pragma once

#include <atomic>
#include <cstddef>
#include <functional>
#include <mutex>
#include <unordered_map>
#include <utility>

namespace service {

/// Any thread may call anything.
class Sessions {
 public:
  /// Put in a session as long as it lives. `hang_up` ends the session if it is between two
  /// requests; it is called by any thread.
  class Entry {
   public:
    Entry(Sessions& sessions, std::function<void()> hang_up) : sessions_(sessions) {
      const std::lock_guard lock(sessions_.mutex_);
      sessions_.open_.emplace(this, std::move(hang_up));
    }
    Entry(const Entry&) = delete;
    Entry& operator=(const Entry&) = delete;
    ~Entry() {
      const std::lock_guard lock(sessions_.mutex_);
      sessions_.open_.erase(this);
    }

   private:
    Sessions& sessions_;
  };

  /// From now on each answer is the last one on its connection.
  void begin_to_end() { ending_ = true; }
  [[nodiscard]] bool ending() const { return ending_; }
  void hang_up_idle() {
    const std::lock_guard lock(mutex_);
    for (const auto& [entry, hang_up] : open_) hang_up();
  }
  [[nodiscard]] std::size_t open() const {
    const std::lock_guard lock(mutex_);
    return open_.size();
  }

 private:
  std::atomic<bool> ending_ = false;
  mutable std::mutex mutex_;
  std::unordered_map<const Entry*, std::function<void()>> open_;
};

}  // namespace service
