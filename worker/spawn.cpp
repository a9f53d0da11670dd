// SPDX-License-Identifier: MIT
#include "worker/spawn.hpp"

#include "worker/host.hpp"
#include <bulkhead/error.hpp>

#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <spawn.h>
#include <string>
#include <string_view>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <utility>
#include <vector>

namespace bulkhead::detail {
namespace {

/// In the environment of a spawned program: who has started it, and the descriptor of its end of
/// the control socket, "PID:FD".
constexpr const char* kSpawned = "BULKHEAD_SPAWNED";

struct Summons {
  pid_t from = 0;
  int socket = -1;

  [[nodiscard]] std::string to_string() const {
    return std::to_string(from) + ":" + std::to_string(socket);
  }
  /// False if the text is none.
  [[nodiscard]] bool read(std::string_view text) {
    const char* const end = text.data() + text.size();
    const auto first = std::from_chars(text.data(), end, from);
    if (first.ptr == end || *first.ptr != ':') return false;
    const auto second = std::from_chars(first.ptr + 1, end, socket);
    return second.ec == std::errc() && second.ptr == end;
  }
};

std::vector<std::string> environment_with(const Summons& summons) {
  const std::string name = std::string(kSpawned) + "=";
  std::vector<std::string> all{name + summons.to_string()};
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    if (!std::string_view(*entry).starts_with(name)) all.emplace_back(*entry);
  }
  return all;
}

std::vector<char*> pointers_to(std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  for (std::string& string : strings) pointers.push_back(string.data());
  pointers.push_back(nullptr);
  return pointers;
}

/// The name by which this program was started.
std::string own_name() {
  std::ifstream file("/proc/self/cmdline");
  std::string name;
  std::getline(file, name, '\0');
  return name;
}

/// What posix_spawn(3) is to do in the child.
class SpawnPlan {
 public:
  /// `inherited` is the one descriptor of ours that is not closed.
  explicit SpawnPlan(int inherited) {
    ::posix_spawn_file_actions_init(&actions_);
    ::posix_spawn_file_actions_adddup2(&actions_, inherited, inherited);
    ::posix_spawnattr_init(&attributes_);
    // A Ctrl-C is for the host only.
    ::posix_spawnattr_setflags(&attributes_, POSIX_SPAWN_SETPGROUP);
  }
  ~SpawnPlan() {
    ::posix_spawn_file_actions_destroy(&actions_);
    ::posix_spawnattr_destroy(&attributes_);
  }
  SpawnPlan(const SpawnPlan&) = delete;
  SpawnPlan& operator=(const SpawnPlan&) = delete;

  /// Throws SystemError.
  [[nodiscard]] pid_t start(std::vector<std::string> arguments,
                            std::vector<std::string> environment) const {
    pid_t pid = -1;
    const int error = ::posix_spawn(&pid, "/proc/self/exe", &actions_, &attributes_,
                                    pointers_to(arguments).data(), pointers_to(environment).data());
    if (error != 0) throw SystemError("bulkhead: cannot start this program anew", error);
    return pid;
  }

 private:
  posix_spawn_file_actions_t actions_{};
  posix_spawnattr_t attributes_{};
};

void put_an_end_to(const NewZygote& zygote) {
  ::syscall(SYS_pidfd_send_signal, zygote.pidfd.get(), SIGKILL, nullptr, 0);
  siginfo_t info{};
  ::waitid(static_cast<idtype_t>(P_PIDFD), static_cast<id_t>(zygote.pidfd.get()), &info, WEXITED);
}

/// Ends a child that is not as it should be.
[[noreturn]] void give_up(const NewZygote& zygote, const std::string& why) {
  put_an_end_to(zygote);
  throw Error("bulkhead: this program was started anew for StartMethod::spawn, but " + why +
              "; call bulkhead::init() first thing in main");
}

/// As LaunchOrder::send(); where that throws, nothing is left behind.
bool send(const LaunchOrder& order, const NewZygote& zygote) {
  try {
    return order.send(zygote.control.get());
  } catch (const SystemError&) {
    put_an_end_to(zygote);
    throw;
  }
}

}  // namespace

NewZygote spawn_zygote(const WorkerSetup& setup, const Doorbell& doorbell) {
  auto [ours, theirs] = control_sockets();
  const LaunchOrder order(setup, doorbell);
  const pid_t pid =
      SpawnPlan(theirs.get()).start({own_name()}, environment_with({::getpid(), theirs.get()}));
  theirs.reset();
  NewZygote zygote{std::move(ours), open_pidfd_of_child(pid), pid};
  const auto until = std::chrono::steady_clock::now() + kLaunchTime;
  const bool answered =
      send(order, zygote) && await_message(zygote.control.get(), zygote.pidfd.get(), until);
  ControlMessage answer;
  const bool serves =
      answered && receive_control(zygote.control.get(), answer) == Received::message;
  if (!serves) {
    give_up(zygote, std::chrono::steady_clock::now() < until
                        ? "it ended without having come to bulkhead::init()"
                        : "it has not come to bulkhead::init() within 20 s");
  }
  if (answer.value > 1) {
    give_up(zygote,
            "it had " + std::to_string(answer.value) + " threads when it came to bulkhead::init()");
  }
  return zygote;
}

bool is_summoned() {
  return std::getenv(kSpawned) != nullptr;
}

void serve_if_spawned(ForwardLogs forward_logs) {
  const char* const text = std::getenv(kSpawned);
  Summons summons;
  if (text == nullptr || !summons.read(text)) return;
  // Not for what this program, or its workers, may start.
  ::unsetenv(kSpawned);
  // The host is gone: what it would do itself is not to be done here.
  if (::getppid() != summons.from) ::_exit(kExitBadSetup);
  const auto until = std::chrono::steady_clock::now() + kLaunchTime;
  ControlMessage order;
  ControlDescriptors fds;
  const bool summoned = await_message(summons.socket, -1, until) &&
                        receive_control(summons.socket, order, &fds) == Received::message &&
                        order.kind == ControlKind::launch;
  if (!summoned) ::_exit(kExitBadSetup);
  ControlMessage answer;
  answer.kind = ControlKind::launched;
  answer.value = thread_count();
  static_cast<void>(send_control(summons.socket, answer));
  obey_launch(std::move(fds), summons.socket, forward_logs);
}

}  // namespace bulkhead::detail
