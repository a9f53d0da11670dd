// SPDX-License-Identifier: MIT
#include "worker/cgroup.hpp"

#include "worker/descriptor.hpp"
#include "worker/host.hpp"
#include <bulkhead/error.hpp>

#include <atomic>
#include <cerrno>
#include <dirent.h>
#include <fcntl.h>
#include <fstream>
#include <linux/magic.h>
#include <string_view>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

namespace bulkhead::detail {
namespace {

/// 0 or an errno.
int write_to(const std::string& path, std::string_view text) {
  const Descriptor file(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (!file) return errno;
  return ::write(file.get(), text.data(), text.size()) < 0 ? errno : 0;
}

/// What the system said when it was last asked.
[[noreturn]] void refuse(const std::string& folder, const std::string& what) {
  const int error = errno;
  throw SystemError("bulkhead: Limits::cgroup is " + folder + ", where " + what, error);
}

void require_cgroup(const std::string& folder) {
  struct statfs system {};
  if (::statfs(folder.c_str(), &system) != 0) refuse(folder, "nothing can be found");
  if (system.f_type != CGROUP2_SUPER_MAGIC) {
    throw InvalidArgument("bulkhead: Limits::cgroup is " + folder +
                          "; it must be a folder of the cgroup file system, version 2, that was "
                          "delegated to this user");
  }
  if (::access((folder + "/cgroup.procs").c_str(), W_OK) != 0) {
    refuse(folder, "this user may not move processes");
  }
}

}  // namespace

PoolCgroup::PoolCgroup(const Limits& limits) {
  if (limits.cgroup.empty()) return;
  require_cgroup(limits.cgroup);
  static std::atomic<int> pools{0};
  owner_ = own_pid();
  memory_ = limits.memory.value_or(0);
  const std::string path = limits.cgroup + "/bulkhead-" + std::to_string(owner_) + "-" +
                           std::to_string(pools.fetch_add(1));
  // The controller must be handed down in both.
  errno = write_to(limits.cgroup + "/cgroup.subtree_control", "+memory");
  if (errno != 0) refuse(limits.cgroup, "the memory controller cannot be enabled");
  if (::mkdir(path.c_str(), 0755) != 0) refuse(limits.cgroup, "no cgroup can be made");
  path_ = path;
  errno = write_to(path_ + "/cgroup.subtree_control", "+memory");
  if (errno == 0) return;
  const int error = errno;
  ::rmdir(path_.c_str());
  errno = error;
  refuse(limits.cgroup, "the memory controller cannot be handed down");
}

PoolCgroup::~PoolCgroup() {
  if (!path_.empty() && own_pid() == owner_) remove_all();
}

std::string PoolCgroup::worker(std::uint64_t epoch) const {
  return path_ + "/" + std::to_string(epoch);
}

int PoolCgroup::make(std::uint64_t epoch) const {
  const std::string folder = worker(epoch);
  if (::mkdir(folder.c_str(), 0755) != 0) return errno;
  if (memory_ == 0) return 0;
  // Where there is no swap, there is no such file.
  static_cast<void>(write_to(folder + "/memory.swap.max", "0"));
  const int error = write_to(folder + "/memory.max", std::to_string(memory_));
  if (error != 0) ::rmdir(folder.c_str());
  return error;
}

bool PoolCgroup::join(std::uint64_t epoch) const {
  return write_to(worker(epoch) + "/cgroup.procs", "0") == 0;
}

int PoolCgroup::oom_kills(std::uint64_t epoch) const {
  std::ifstream file(worker(epoch) + "/memory.events");
  std::string name;
  for (int count = 0; file >> name >> count;) {
    if (name == "oom_kill") return count;
  }
  return 0;
}

void PoolCgroup::remove(std::uint64_t epoch) const {
  const std::string folder = worker(epoch);
  static_cast<void>(write_to(folder + "/cgroup.kill", "1"));
  ::rmdir(folder.c_str());
}

void PoolCgroup::remove_all() const {
  if (DIR* folder = ::opendir(path_.c_str())) {
    while (const dirent* entry = ::readdir(folder)) {
      if (entry->d_type != DT_DIR || entry->d_name[0] == '.') continue;
      const std::string child = path_ + "/" + entry->d_name;
      static_cast<void>(write_to(child + "/cgroup.kill", "1"));
      ::rmdir(child.c_str());
    }
    ::closedir(folder);
  }
  ::rmdir(path_.c_str());
}

}  // namespace bulkhead::detail
