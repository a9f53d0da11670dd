// SPDX-License-Identifier: MIT
//
// Log: what is told to the user's logger about workers. The only code of ours that knows spdlog.
// Silent without a logger; an exception of the logger's goes no further.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

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
  /// A message of a worker's; `level` is spdlog's, of somebody who is not believed.
  void pass_on(std::uint32_t level, std::string_view origin, std::string_view text) const noexcept;

  [[nodiscard]] const std::shared_ptr<spdlog::logger>& logger() const { return logger_; }

 private:
  std::shared_ptr<spdlog::logger> logger_;
};

}  // namespace bulkhead::detail
