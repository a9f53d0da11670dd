// SPDX-License-Identifier: MIT
// The pool that many programs have of their own: threads, a queue, a mutex and two condition
// variables. One task per element, results stored where they belong; no isolation.

#include "bench.hpp"
#include "peers/thread_pools.hpp"
#include "tasks.hpp"
#include "workloads.hpp"

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <numeric>
#include <thread>
#include <utility>
#include <vector>

namespace {

class ThreadPool {
 public:
  explicit ThreadPool(std::size_t threads) {
    for (std::size_t i = 0; i < threads; ++i) threads_.emplace_back([this] { serve(); });
  }
  ~ThreadPool() {
    {
      const std::lock_guard lock(mutex_);
      closed_ = true;
    }
    wanted_.notify_all();
    for (std::thread& thread : threads_) thread.join();
  }
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  /// function(x) for each x of the inputs. The function gets a copy, as between processes.
  template <typename T, typename Function>
  std::vector<T> map(Function function, const std::vector<T>& inputs) {
    std::vector<T> results(inputs.size());
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      submit([&function, &input = inputs[i], &result = results[i]] { result = function(input); });
    }
    wait();
    return results;
  }

  /// Of a share for each thread.
  double sum_of_squares(const std::vector<double>& values) {
    std::vector<double> sums(threads_.size());
    for (std::size_t i = 0; i < sums.size(); ++i) {
      submit([&values, &sum = sums[i], begin = values.size() * i / sums.size(),
              end = values.size() * (i + 1) / sums.size()] {
        double share = 0;
        for (std::size_t at = begin; at < end; ++at) share += bench::square(values[at]);
        sum = share;
      });
    }
    wait();
    return std::accumulate(sums.begin(), sums.end(), 0.0);
  }

 private:
  void submit(std::function<void()> task) {
    {
      const std::lock_guard lock(mutex_);
      tasks_.push_back(std::move(task));
      ++unfinished_;
    }
    wanted_.notify_one();
  }

  void wait() {
    std::unique_lock lock(mutex_);
    finished_.wait(lock, [&] { return unfinished_ == 0; });
  }

  void serve() {
    std::unique_lock lock(mutex_);
    for (;;) {
      wanted_.wait(lock, [&] { return closed_ || !tasks_.empty(); });
      if (tasks_.empty()) return;
      const std::function<void()> task = std::move(tasks_.front());
      tasks_.pop_front();
      lock.unlock();
      task();
      lock.lock();
      if (--unfinished_ == 0) finished_.notify_all();
    }
  }

  std::mutex mutex_;
  std::condition_variable wanted_;
  std::condition_variable finished_;
  std::deque<std::function<void()>> tasks_;
  std::size_t unfinished_ = 0;
  bool closed_ = false;
  std::vector<std::thread> threads_;
};

bench::Figure latency(const bench::Request& request) {
  ThreadPool pool(request.workers);
  std::vector<std::int64_t> input(1);
  return bench::latency(request, [&](std::int64_t x) {
    input.front() = x;
    return pool.map(bench::increment, input).front();
  });
}

}  // namespace

int main(int argc, char** argv) {
  return bench::run_thread_pool<ThreadPool>(argc, argv, latency);
}
