// SPDX-License-Identifier: MIT
#include "runtime/log.hpp"

#include <string_view>

#include <spdlog/logger.h>

namespace bulkhead::detail {
namespace {

void write(spdlog::logger* logger, spdlog::level::level_enum level,
           std::string_view text) noexcept {
  if (logger == nullptr) return;
  constexpr std::string_view kName = "bulkhead: ";  // texts of errors begin with it
  if (text.starts_with(kName)) text.remove_prefix(kName.size());
  try {
    logger->log(level, "{}{}", kName, text);
  } catch (...) {  // NOLINT(bugprone-empty-catch): a sink that fails must not cost a task
  }
}

}  // namespace

void Log::pass_on(std::uint32_t level, std::string_view origin,
                  std::string_view text) const noexcept {
  if (logger_ == nullptr || level >= spdlog::level::off) return;
  try {
    logger_->log(static_cast<spdlog::level::level_enum>(level), "[{}] {}", origin, text);
  } catch (...) {  // NOLINT(bugprone-empty-catch): as above
  }
}

void Log::debug(const std::string& text) const noexcept {
  write(logger_.get(), spdlog::level::debug, text);
}
void Log::warn(const std::string& text) const noexcept {
  write(logger_.get(), spdlog::level::warn, text);
}
void Log::error(const std::string& text) const noexcept {
  write(logger_.get(), spdlog::level::err, text);
}

}  // namespace bulkhead::detail
