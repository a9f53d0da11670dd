// SPDX-License-Identifier: MIT
//
// A service that measures PNG images, and survives them: each is decoded in a worker process.
#include "server.hpp"
#include <bulkhead/asio.hpp>

#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <optional>
#include <thread>
#include <vector>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <CLI/CLI.hpp>

namespace {

namespace asio = boost::asio;

struct Arguments {
  std::uint16_t port = 0;
  int threads = 2;
  std::optional<int> workers;
  std::size_t in_flight = 64;
  std::uint64_t largest_body = 8 << 20;
  std::int64_t task_ms = 2000;
  std::int64_t drain_ms = 10'000;
};

/// Until a signal says that it is enough.
asio::awaitable<void> supervise(asio::signal_set& signals, asio::io_context& io,
                                service::Server& server, bulkhead::Pool& pool,
                                std::chrono::milliseconds patience) {
  co_await signals.async_wait(asio::use_awaitable);
  if (!co_await server.drain(patience)) {
    pool.terminate();  // what is left is answered that it was cancelled
    constexpr std::chrono::seconds kLast(1);
    (void)co_await server.drain(kLast);
  }
  io.stop();
}

void run(const Arguments& arguments) {
  const std::chrono::milliseconds longest(arguments.task_ms);
  service::Sessions sessions;  // outlives those that do not end in time
  asio::io_context io(arguments.threads);
  // Before there are threads, as its workers are forked from this process.
  bulkhead::Pool pool(bulkhead::Options{.workers = arguments.workers,
                                        .limits = {.memory = 1 << 30},
                                        .max_in_flight = arguments.in_flight});
  service::Metrics metrics(pool);
  service::Routes routes(pool, metrics, longest);
  service::Server server(io, arguments.port, {routes, metrics, sessions, arguments.largest_body});
  {
    const bulkhead::AsioLoop loop(pool, io);  // the threads below look after the pool
    asio::signal_set signals(io, SIGTERM, SIGINT);
    const std::chrono::milliseconds patience(arguments.drain_ms);
    asio::co_spawn(server.executor(), server.accept(), asio::detached);
    asio::co_spawn(server.executor(), supervise(signals, io, server, pool, patience),
                   asio::detached);
    std::printf("listening on 127.0.0.1:%d\n", server.port());
    std::fflush(stdout);
    std::vector<std::jthread> threads;
    for (int i = 0; i < arguments.threads; ++i) threads.emplace_back([&io] { io.run(); });
  }
  pool.close();
  pool.join();
}

}  // namespace

int main(int argc, char** argv) {
  Arguments arguments;
  CLI::App app("Answers POST /image, whose body is a PNG image, with its size and mean colour.");
  app.add_option("--port", arguments.port, "on 127.0.0.1 (default 0: any that is free)");
  app.add_option("--threads", arguments.threads, "that serve connections")
      ->check(CLI::Range(1, 64));
  app.add_option("--workers", arguments.workers, "processes (default: one per usable CPU)");
  app.add_option("--in-flight", arguments.in_flight, "images at a time before 503")
      ->check(CLI::PositiveNumber);
  app.add_option("--largest-body", arguments.largest_body, "bytes before 413");
  app.add_option("--task-ms", arguments.task_ms, "longest time for an image before 504")
      ->check(CLI::PositiveNumber);
  app.add_option("--drain-ms", arguments.drain_ms, "longest time for requests after SIGTERM");
  CLI11_PARSE(app, argc, argv);
  try {
    run(arguments);
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "service: %s\n", error.what());
    return 1;
  }
}
