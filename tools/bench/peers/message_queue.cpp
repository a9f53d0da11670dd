// SPDX-License-Identifier: MIT
// boost::interprocess::message_queue, bare: two processes with one queue each way.

#include "bench.hpp"
#include "peers/two_processes.hpp"
#include "workloads.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <unistd.h>
#include <utility>
#include <vector>

#include <boost/interprocess/ipc/message_queue.hpp>

namespace {

namespace ipc = boost::interprocess;

constexpr std::size_t kDepth = 256;  // messages in one queue, and messages on their way in all

/// A queue of messages of up to `bytes` bytes. Its name is removed before anybody uses it: a
/// child forked later has it mapped, and nothing is left however the programs end.
class Queue {
 public:
  Queue(const std::string& tag, std::size_t bytes)
      : name_("bulkhead-bench-" + std::to_string(::getpid()) + "-" + tag),
        queue_(ipc::create_only, name_.c_str(), kDepth, bytes) {
    ipc::message_queue::remove(name_.c_str());
  }

  void send(const void* message, std::size_t bytes) { queue_.send(message, bytes, 0); }

  void receive(void* message, std::size_t bytes) {
    std::size_t received = 0;
    unsigned priority = 0;
    queue_.receive(message, bytes, received, priority);
    bench::require(received == bytes, "a message of unexpected size");
  }

 private:
  std::string name_;
  ipc::message_queue queue_;
};

bench::Figure latency(const bench::Request& request) {
  Queue there("there", sizeof(std::int64_t));
  Queue back("back", sizeof(std::int64_t));
  const auto receive = [](Queue& queue) {
    std::int64_t value = 0;
    queue.receive(&value, sizeof value);
    return value;
  };
  const bench::Child child([&] {
    for (;;) {
      const std::int64_t answer = bench::increment(receive(there));
      back.send(&answer, sizeof answer);
    }
  });
  return bench::latency(request, [&](std::int64_t x) {
    there.send(&x, sizeof x);
    return receive(back);
  });
}

bench::Bytes receive_item(Queue& queue) {
  bench::Bytes item(bench::kSmallBytes);
  queue.receive(item.data(), item.size());
  return item;
}

/// Sends ahead by kDepth messages, so neither queue can be full at both ends.
std::vector<bench::Bytes> map(Queue& there, Queue& back, const std::vector<bench::Bytes>& items) {
  std::vector<bench::Bytes> results;
  results.reserve(items.size());
  for (std::size_t sent = 0; results.size() < items.size();) {
    for (; sent < items.size() && sent < results.size() + kDepth; ++sent) {
      there.send(items[sent].data(), items[sent].size());
    }
    results.push_back(receive_item(back));
  }
  return results;
}

bench::Figure small(const bench::Request& request) {
  Queue there("there", bench::kSmallBytes);
  Queue back("back", bench::kSmallBytes);
  const bench::Child child([&] {
    for (;;) {
      const bench::Bytes answer = bench::increment_all(receive_item(there));
      back.send(answer.data(), answer.size());
    }
  });
  return bench::small(request, [&](const auto& items) { return map(there, back, items); });
}

}  // namespace

int main(int argc, char** argv) {
  return bench::run_program(argc, argv, {{"latency", latency}, {"small", small}});
}
