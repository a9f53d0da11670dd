// SPDX-License-Identifier: MIT
#include "traffic.hpp"

#include "client.hpp"

#include <algorithm>
#include <cstddef>
#include <exception>
#include <utility>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace load {
namespace {

namespace asio = boost::asio;
using Clock = std::chrono::steady_clock;

class Traffic {
 public:
  Traffic(const Plan& plan, const std::vector<Sample>& samples) : plan_(plan), samples_(samples) {}

  Findings run() {
    const auto begin = Clock::now();
    begin_ = begin;
    for (int i = 0; i < plan_.connections; ++i) asio::co_spawn(io_, connection(), asio::detached);
    io_.run();
    findings_.took = Clock::now() - begin;
    return std::move(findings_);
  }

 private:
  asio::awaitable<void> connection() {
    try {
      Client client(io_, plan_.port);
      while (next_ < plan_.requests) {
        if (co_await request(client, next_++)) {
          ++findings_.farewells;
          break;
        }
      }
    } catch (const std::exception& error) {
      ++findings_.unanswered;
      note(error.what());
    }
  }

  /// True if it was the last one on its connection.
  asio::awaitable<bool> request(Client& client, std::uint64_t number) {
    const Clock::time_point due = co_await await_turn(number);
    const bool is_doomed = plan_.with_doomed && number % 200 == 100;
    const bool is_garbage = number % 50 == 7;
    const Sample& sample = samples_[number % samples_.size()];
    std::string target = is_doomed ? "/crash" : "/image";
    std::string body = is_doomed ? "" : is_garbage ? sample.file.substr(0, 60) : sample.file;
    const Answer answer = co_await client.post(std::move(target), std::move(body));
    const std::chrono::duration<double, std::milli> took = Clock::now() - due;

    const unsigned expected = is_doomed ? 500 : is_garbage ? 422 : 200;
    if (answer.status != expected) {
      wrong("status " + std::to_string(answer.status) + ": " + answer.body);
    } else if (expected == 200) {
      wrong(compare(sample, answer.body));
    } else if (is_doomed && answer.body.find("SIGSEGV") == std::string::npos) {
      wrong("it does not say what has happened: " + answer.body);
    }
    if (is_doomed) {
      ++findings_.doomed;
    } else {
      findings_.milliseconds.push_back(took.count());
    }
    if (++findings_.answered == plan_.milestone) plan_.at_milestone();
    co_return answer.is_last;
  }

  asio::awaitable<Clock::time_point> await_turn(std::uint64_t number) {
    if (plan_.per_second == 0) co_return Clock::now();
    const std::chrono::duration<double> after(static_cast<double>(number) / plan_.per_second);
    const auto due = begin_ + std::chrono::duration_cast<Clock::duration>(after);
    asio::steady_timer timer(io_, due);
    co_await timer.async_wait(asio::use_awaitable);
    co_return due;
  }

  void wrong(const std::string& how) {
    if (how.empty()) return;
    ++findings_.wrong;
    note(how);
  }
  void note(const std::string& trouble) {
    if (findings_.first_trouble.empty()) findings_.first_trouble = trouble;
  }

  const Plan& plan_;
  const std::vector<Sample>& samples_;
  asio::io_context io_;
  Clock::time_point begin_;
  std::uint64_t next_ = 0;
  Findings findings_;
};

}  // namespace

double Findings::quantile(double share) const {
  if (milliseconds.empty()) return 0;
  std::vector<double> sorted = milliseconds;
  const auto index = static_cast<std::size_t>(share * static_cast<double>(sorted.size() - 1));
  std::nth_element(sorted.begin(), sorted.begin() + static_cast<std::ptrdiff_t>(index),
                   sorted.end());
  return sorted[index];
}

Findings send(const Plan& plan, const std::vector<Sample>& samples) {
  return Traffic(plan, samples).run();
}

}  // namespace load
