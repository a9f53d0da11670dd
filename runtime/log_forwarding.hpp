// SPDX-License-Identifier: MIT
//
// In a worker: spdlog's loggers write to the coordinator instead of where the host's do.
#pragma once

#include "worker/log_pipe.hpp"

#include <memory>

namespace spdlog {
class logger;
}

namespace bulkhead::detail {

/// From now on the messages of `logger`, of the default logger and of all registered ones go to
/// `sender`. For good: what the host's sinks have not written yet is the host's to write.
void forward_logs(const std::shared_ptr<spdlog::logger>& logger, std::unique_ptr<LogSender> sender);

}  // namespace bulkhead::detail
