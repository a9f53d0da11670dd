// SPDX-License-Identifier: MIT
//
// Log: what is told to the user's logger about workers. The only code of ours that knows spdlog.
// Silent without a logger; an exception of the logger's goes no further.
#pragma once

#include <memory>
#include <string>

namespace spdlog {
class logger;
}

namespace bulkhead::detail {

class Log {
 public:
  explicit Log(std::shared_ptr<spdlog::logger> logger) : logger_(std::move(logger)) {}

  void debug(const std::string& text) const noexcept;
  void warn(const std::string& text) const noexcept;
  void error(const std::string& text) const noexcept;

 private:
  std::shared_ptr<spdlog::logger> logger_;
};

}  // namespace bulkhead::detail
