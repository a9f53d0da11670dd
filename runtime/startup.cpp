// SPDX-License-Identifier: MIT
#include "runtime/startup.hpp"

#include "runtime/log_forwarding.hpp"
#include "runtime/options.hpp"
#include "worker/host.hpp"
#include "worker/spawn.hpp"
#include <bulkhead/error.hpp>
#include <bulkhead/init.hpp>

#include <mutex>
#include <string>
#include <utility>

namespace bulkhead {
namespace detail {
namespace {

std::atomic<Startup*> prepared_last{nullptr};

void forward_logs_of_no_pool(std::unique_ptr<LogSender> sender) {
  forward_logs(nullptr, std::move(sender));
}

Startup* startup_of_this_process() {
  Startup* const last = prepared_last.load();
  return last != nullptr && last->owner == own_pid() ? last : nullptr;
}

void require_travelling(const Hook& hook, const char* name) {
  if (hook.travels()) return;
  throw InvalidArgument(
      "bulkhead: Options::" + std::string(name) +
      " cannot be sent to workers that are not forked from this process as it is now: it is a "
      "lambda with captures, a std::function or the like. Use a function, a lambda without "
      "captures, bulkhead::partial(f, a, b...), or StartMethod::fork");
}

}  // namespace

Startup::Startup(StartMethod a_method)
    : owner(own_pid()), method(a_method), server(&forward_logs_of_no_pool) {}

const Startup* startup() {
  return startup_of_this_process();
}

// A spawned program that does all that the host does, and so spawns others, would never end.
Start::Start(const Options& options, const Startup* prepared)
    : method_(options.start.value_or(prepared != nullptr ? prepared->method.load()
                                                         : StartMethod::fork)),
      prepared_(prepared) {
  if (is_summoned()) {
    throw Error(
        "bulkhead: this program was started anew to be a pool's workers (StartMethod::spawn), and "
        "makes a Pool itself before it has come to bulkhead::init(); call that first thing in "
        "main");
  }
  if (method_ == StartMethod::fork) return;
  if (method_ > StartMethod::spawn) {
    throw InvalidArgument("bulkhead: Options::start is " +
                          std::to_string(static_cast<int>(method_)) +
                          "; it must be one of fork, forkserver and spawn");
  }
  if (prepared_ == nullptr) {
    throw InvalidArgument(
        "bulkhead: Options::start is " +
        std::string(method_ == StartMethod::spawn ? "spawn" : "forkserver") +
        ", but bulkhead::init() was not called in this process; call it first thing in main");
  }
  require_travelling(options.initializer, "initializer");
  require_travelling(options.finalizer, "finalizer");
}

NewZygote Start::launch(WorkerSetup& setup, const Doorbell& doorbell) const {
  if (method_ == StartMethod::fork) return fork_zygote(setup, doorbell);
  setup.modules = prepared_->modules;
  return method_ == StartMethod::spawn ? spawn_zygote(setup, doorbell)
                                       : prepared_->server.launch(setup, doorbell);
}

std::uint64_t Start::generation() const {
  return method_ == StartMethod::fork ? ModuleMap::generation() : prepared_->generation;
}

}  // namespace detail

void init(StartMethod method) {
  detail::serve_if_spawned(&detail::forward_logs_of_no_pool);
  static std::mutex one_at_a_time;
  const std::lock_guard lock(one_at_a_time);
  detail::Startup* const before = detail::startup_of_this_process();
  if (before != nullptr && !before->server.has_ended()) {
    before->method = method;
    return;
  }
  detail::require_single_thread(detail::thread_count());
  detail::prepared_last = new detail::Startup(method);
}

}  // namespace bulkhead
