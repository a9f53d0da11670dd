// SPDX-License-Identifier: MIT
//
// What bulkhead::init() has prepared in this process, and how a pool is to start by it.
#pragma once

#include "worker/fork_server.hpp"
#include "worker/launch.hpp"
#include "worker/module.hpp"
#include <bulkhead/options.hpp>

#include <atomic>
#include <cstdint>
#include <sys/types.h>

namespace bulkhead::detail {

struct Startup {
  explicit Startup(StartMethod method);

  const pid_t owner;
  std::atomic<StartMethod> method;  ///< of pools that do not say
  // As workers have them, or have at least.
  const std::uint64_t generation = ModuleMap::generation();
  const ModuleMap modules = ModuleMap::snapshot();
  const ForkServer server;
};

/// Null: init() has not been called in this process. Stays for good.
[[nodiscard]] const Startup* startup();

/// How the workers of one pool come to be.
class Start {
 public:
  /// Throws InvalidArgument if the options ask for what cannot be had, or a hook does not travel;
  /// Error if this is a spawned program that has not come to init().
  Start(const Options& options, const Startup* prepared);

  [[nodiscard]] StartMethod method() const { return method_; }
  /// The zygote. `setup` gets the modules that its workers have. Throws SystemError, Error, and
  /// what a hook's codec throws.
  [[nodiscard]] NewZygote launch(WorkerSetup& setup, const Doorbell& doorbell) const;
  /// Of those modules in this process.
  [[nodiscard]] std::uint64_t generation() const;

 private:
  StartMethod method_;
  const Startup* prepared_;
};

}  // namespace bulkhead::detail
