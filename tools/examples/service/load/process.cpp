// SPDX-License-Identifier: MIT
#include "process.hpp"

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdio>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <poll.h>
#include <stdexcept>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace load {
namespace {

namespace fs = std::filesystem;
constexpr int kPatienceMs = 30'000;

std::string proc(pid_t pid, const char* what) {
  return "/proc/" + std::to_string(pid) + "/" + what;
}

long count(const std::string& folder) {
  std::error_code error;
  const fs::directory_iterator entries(folder, error);
  return std::distance(begin(entries), end(entries));
}

/// In the child: standard output goes to `out`.
[[noreturn]] void become(const std::string& program, const std::vector<std::string>& arguments,
                         int out) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  ::dup2(out, STDOUT_FILENO);
  std::vector<char*> words{const_cast<char*>(program.c_str())};
  for (const std::string& word : arguments) words.push_back(const_cast<char*>(word.c_str()));
  words.push_back(nullptr);
  ::execv(program.c_str(), words.data());
  ::_exit(127);
}

}  // namespace

Footprint footprint(pid_t pid) {
  Footprint found{count(proc(pid, "fd")), count(proc(pid, "task")),
                  static_cast<long>(descendants(pid).size())};
  std::ifstream status(proc(pid, "status"));
  for (std::string word; status >> word;) {
    if (word == "VmRSS:") status >> found.resident_kib;
  }
  return found;
}

std::string to_string(const Footprint& footprint) {
  return std::to_string(footprint.descriptors) + " descriptors, " +
         std::to_string(footprint.threads) + " threads, " + std::to_string(footprint.descendants) +
         " descendants, " + std::to_string(footprint.resident_kib) + " KiB resident";
}

std::vector<pid_t> descendants(pid_t pid) {
  std::vector<pid_t> found;
  std::error_code error;
  for (const auto& thread : fs::directory_iterator(proc(pid, "task"), error)) {
    std::ifstream children(thread.path() / "children");
    for (pid_t child = 0; children >> child;) {
      found.push_back(child);
      const std::vector<pid_t> further = descendants(child);
      found.insert(found.end(), further.begin(), further.end());
    }
  }
  return found;
}

int open_pidfd(pid_t pid) {
  return static_cast<int>(::syscall(SYS_pidfd_open, pid, 0U));
}

std::string name_of(pid_t pid) {
  std::string name;
  std::ifstream file(proc(pid, "comm"));
  std::getline(file, name);
  return name;
}

ServiceProcess::ServiceProcess(const std::string& program,
                               const std::vector<std::string>& arguments) {
  std::array<int, 2> out{};
  if (::pipe2(out.data(), O_CLOEXEC) != 0) throw std::runtime_error("no pipe");
  pid_ = ::fork();
  if (pid_ == 0) become(program, arguments, out[1]);
  ::close(out[1]);
  pollfd readable{out[0], POLLIN, 0};
  std::array<char, 100> line{};
  if (pid_ > 0 && ::poll(&readable, 1, kPatienceMs) == 1)
    (void)!::read(out[0], line.data(), line.size() - 1);
  ::close(out[0]);
  unsigned port = 0;
  if (std::sscanf(line.data(), "listening on 127.0.0.1:%u", &port) != 1) {
    if (pid_ > 0) ::kill(pid_, SIGKILL);
    (void)wait();
    throw std::runtime_error(program + " does not listen; it says: " + line.data());
  }
  port_ = static_cast<std::uint16_t>(port);
}

ServiceProcess::~ServiceProcess() {
  if (pid_ <= 0) return;
  ::kill(pid_, SIGKILL);
  (void)wait();
}

void ServiceProcess::ask_to_end() const {
  ::kill(pid_, SIGTERM);
}

int ServiceProcess::wait() {
  if (pid_ <= 0) return -1;
  const int handle = open_pidfd(pid_);
  pollfd ended{handle, POLLIN, 0};
  const bool is_late = ::poll(&ended, 1, kPatienceMs) != 1;
  ::close(handle);
  if (is_late) ::kill(pid_, SIGKILL);
  int status = 0;
  ::waitpid(pid_, &status, 0);
  pid_ = -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

}  // namespace load
