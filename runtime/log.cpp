// SPDX-License-Identifier: MIT
#include "runtime/log.hpp"

#include <spdlog/logger.h>

namespace bulkhead::detail {
namespace {

void write(spdlog::logger* logger, spdlog::level::level_enum level,
           const std::string& text) noexcept {
  if (logger == nullptr) return;
  try {
    logger->log(level, "bulkhead: {}", text);
  } catch (...) {  // NOLINT(bugprone-empty-catch): a sink that fails must not cost a task
  }
}

}  // namespace

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
