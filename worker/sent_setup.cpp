// SPDX-License-Identifier: MIT
#include "worker/sent_setup.hpp"

#include "worker/memory.hpp"
#include "worker/reset.hpp"
#include <bulkhead/bytes.hpp>
#include <bulkhead/codec.hpp>
#include <bulkhead/error.hpp>

#include <algorithm>
#include <cstddef>
#include <span>
#include <string>
#include <sys/stat.h>
#include <utility>
#include <vector>

namespace bulkhead::detail {
namespace {

using Bytes = std::vector<std::byte>;

/// A WorkerSetup as values that have codecs.
struct Sent {
  std::uint64_t ring_bytes = 0;
  Fences fences = Fences::equal;
  Limits limits;
  std::string cgroup;
  VoicePlan voice;
  std::vector<fault::Fault> faults;
  std::vector<int> cpus;
  Bytes initializer;
  Bytes finalizer;
  std::optional<std::chrono::nanoseconds> idle_timeout;
  int pools_deep = 0;

  template <class Archive>
  void serialize(Archive& archive) {
    archive(ring_bytes, fences, cgroup, voice, faults, cpus, initializer, finalizer, idle_timeout,
            pools_deep);
    archive(limits.memory, limits.cpu_time, limits.file_size, limits.open_files, limits.processes);
    archive(limits.oom_score_adj, limits.core_dumps, limits.no_new_privileges);
  }
};

Bytes bytes_of(const Hook& hook) {
  SpillWriter out({});
  hook.encode(out);
  return out.take();
}

Hook hook_of(Bytes bytes) {
  if (bytes.empty()) return {};
  return [bytes = std::move(bytes)] {
    SpanReader in(bytes);
    Hook::decode(in)();
  };
}

}  // namespace

Descriptor put_down(const WorkerSetup& setup) {
  Sent sent{.ring_bytes = setup.ring_bytes,
            .fences = setup.fences,
            .limits = setup.limits,
            .cgroup = setup.cgroup ? setup.cgroup->path() : std::string(),
            .voice = setup.voice,
            .faults = setup.faults,
            .cpus = setup.cpus,
            .initializer = bytes_of(setup.initializer),
            .finalizer = bytes_of(setup.finalizer),
            .idle_timeout = setup.idle_timeout,
            .pools_deep = pools_deep()};
  SpillWriter out({});
  Codec<Sent>::encode(sent, out);
  const Bytes bytes = out.take();
  Descriptor fd = create_memory(bytes.size());
  const Memory memory(fd, bytes.size(), Memory::Access::read_write);
  std::copy(bytes.begin(), bytes.end(), memory.data());
  return fd;
}

WorkerSetup take_up(const Descriptor& fd) {
  struct stat status {};
  if (::fstat(fd.get(), &status) != 0) throw SystemError("bulkhead: no setup has come", errno);
  const auto size = static_cast<std::size_t>(status.st_size);
  const Memory memory(fd, size, Memory::Access::read_only);
  SpanReader in(std::span<const std::byte>(memory.data(), size));
  Sent sent = Codec<Sent>::decode(in);
  set_pools_deep(sent.pools_deep);
  WorkerSetup setup;
  setup.ring_bytes = sent.ring_bytes;
  setup.fences = sent.fences;
  setup.limits = std::move(sent.limits);
  if (!sent.cgroup.empty()) {
    setup.cgroup = std::make_shared<const PoolCgroup>(sent.cgroup, setup.limits.memory.value_or(0));
  }
  setup.voice = sent.voice;
  setup.faults = std::move(sent.faults);
  setup.cpus = std::move(sent.cpus);
  setup.initializer = hook_of(std::move(sent.initializer));
  setup.idle_timeout = sent.idle_timeout;
  setup.finalizer = hook_of(std::move(sent.finalizer));
  return setup;
}

}  // namespace bulkhead::detail
