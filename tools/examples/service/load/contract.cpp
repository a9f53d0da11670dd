// SPDX-License-Identifier: MIT
#include "contract.hpp"

#include "client.hpp"
#include "picture.hpp"
#include "process.hpp"

#include <algorithm>
#include <cstdint>
#include <future>
#include <string_view>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>

namespace load {
namespace {

namespace asio = boost::asio;
using boost::beast::http::verb;

class Contract {
 public:
  explicit Contract(std::string program) : program_(std::move(program)) {}

  std::vector<std::string> check() {
    check_statuses();
    check_overload();
    check_end();
    return std::move(broken_);
  }

 private:
  void check_statuses() {
    ServiceProcess service(program_, {"--largest-body", "100000", "--task-ms", "300"});
    const Sample sample = make_sample(1);
    const Answer measured = ask(service, verb::post, "/image", sample.file);
    expect("an image", measured, 200);
    if (const auto wrong = compare(sample, measured.body); !wrong.empty()) broken_.push_back(wrong);
    expect("garbage", ask(service, verb::post, "/image", "GIF89a"), 422, "not a PNG image");
    expect("half an image",
           ask(service, verb::post, "/image", sample.file.substr(0, sample.file.size() / 2)), 422);
    expect("a large body", ask(service, verb::post, "/image", std::string(100'001, 'x')), 413);
    expect("a null pointer", ask(service, verb::post, "/crash"), 500, "SIGSEGV at address 0x0");
    expect("an abort", ask(service, verb::post, "/crash/abort"), 500, "SIGABRT");
    expect("a task that hangs", ask(service, verb::post, "/crash/hang"), 504, "timed out");
    expect("no route", ask(service, verb::get, "/nowhere"), 404);
    expect("a wrong method", ask(service, verb::get, "/image"), 405);
    expect("a look at its health", ask(service, verb::get, "/healthz"), 200, "ok");
    expect("metrics", ask(service, verb::get, "/metrics"), 200,
           "service_answers_total{status=\"504\"} 1");
    expect("metrics of the pool", ask(service, verb::get, "/metrics"), 200,
           "bulkhead_tasks_total{pool=\"images\",outcome=\"timed_out\"} 1");
    service.ask_to_end();
    if (service.wait() != 0) broken_.push_back("SIGTERM ends it with another exit code than 0");
  }

  void check_overload() {
    ServiceProcess service(program_, {"--in-flight", "1", "--task-ms", "2000"});
    Client one(io_, service.port());
    Client other(io_, service.port());
    auto answers = {spawn(one.post("/crash/hang", "")), spawn(other.post("/crash/hang", ""))};
    run();
    std::vector<unsigned> statuses;
    for (const auto& each : answers) statuses.push_back(each.get().status);
    std::sort(statuses.begin(), statuses.end());
    if (statuses != std::vector<unsigned>{503, 504})
      broken_.push_back("of two requests one is not refused where only one may be in flight");
  }

  /// A request that takes too long does not hold up the end, and is answered.
  void check_end() {
    ServiceProcess service(program_, {"--task-ms", "60000", "--drain-ms", "200"});
    Client client(io_, service.port());
    auto answer = spawn(client.post("/crash/hang", ""));
    service.ask_to_end();
    run();
    expect("a task that hangs at the end", answer.get(), 503);
    if (service.wait() != 0) broken_.push_back("a task that hangs makes SIGTERM end it badly");
  }

  Answer ask(const ServiceProcess& service, verb verb, const std::string& target,
             const std::string& body = "") {
    Client client(io_, service.port());
    auto answer = spawn(client.ask(verb, target, body));
    run();
    return answer.get();
  }
  std::shared_future<Answer> spawn(asio::awaitable<Answer> request) {
    return asio::co_spawn(io_, std::move(request), asio::use_future).share();
  }
  void run() {
    io_.restart();
    io_.run();
  }
  void expect(const std::string& what, const Answer& answer, unsigned status,
              std::string_view text = "") {
    if (answer.status == status && answer.body.find(text) != std::string::npos) return;
    broken_.push_back(what + " is answered " + std::to_string(answer.status) + ": " + answer.body);
  }

  std::string program_;
  asio::io_context io_;
  std::vector<std::string> broken_;
};

}  // namespace

std::vector<std::string> check_contract(const std::string& program) {
  return Contract(program).check();
}

}  // namespace load
