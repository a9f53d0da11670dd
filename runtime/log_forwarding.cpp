// SPDX-License-Identifier: MIT
#include "runtime/log_forwarding.hpp"

#include <string_view>
#include <utility>
#include <vector>

#include <spdlog/details/null_mutex.h>
#include <spdlog/logger.h>
#include <spdlog/sinks/base_sink.h>
#include <spdlog/spdlog.h>

namespace bulkhead::detail {
namespace {

class ForwardingSink final : public spdlog::sinks::base_sink<spdlog::details::null_mutex> {
 public:
  explicit ForwardingSink(std::unique_ptr<LogSender> sender) : sender_(std::move(sender)) {}

 private:
  void sink_it_(const spdlog::details::log_msg& message) override {
    sender_->send(static_cast<std::uint32_t>(message.level),
                  std::string_view(message.payload.data(), message.payload.size()));
  }
  void flush_() override {}

  std::unique_ptr<LogSender> sender_;
};

}  // namespace

void forward_logs(const std::shared_ptr<spdlog::logger>& logger,
                  std::unique_ptr<LogSender> sender) {
  const auto sink = std::make_shared<ForwardingSink>(std::move(sender));
  // Never destroyed: files would write the host's text a second time.
  static auto* const of_the_host = new std::vector<std::vector<spdlog::sink_ptr>>;
  static auto* const default_of_the_host =
      new std::shared_ptr<spdlog::logger>(spdlog::default_logger());
  const auto redirect = [&](const std::shared_ptr<spdlog::logger>& one) {
    if (one) of_the_host->push_back(std::exchange(one->sinks(), {sink}));
  };
  redirect(logger);
  spdlog::apply_all([&](const std::shared_ptr<spdlog::logger>& one) {
    if (one != logger) redirect(one);
  });
  // An asynchronous one would wait for a thread that is not there.
  auto plain = std::make_shared<spdlog::logger>("", sink);
  if (*default_of_the_host) plain->set_level((*default_of_the_host)->level());
  spdlog::set_default_logger(std::move(plain));
}

}  // namespace bulkhead::detail
