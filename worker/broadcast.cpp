// SPDX-License-Identifier: MIT
#include "worker/broadcast.hpp"

#include "worker/descriptor.hpp"
#include "worker/memory.hpp"
#include <bulkhead/detail/kept_loans.hpp>
#include <bulkhead/detail/lost_loan.hpp>
#include <bulkhead/error.hpp>

#include <algorithm>
#include <cerrno>
#include <deque>
#include <fcntl.h>
#include <linux/magic.h>
#include <optional>
#include <string>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <system_error>
#include <unistd.h>
#include <utility>
#include <vector>

namespace bulkhead::detail {
namespace {

/// The most that a worker keeps though no handle of it is left here.
constexpr std::size_t kMostKept = 8;

/// Fresh pages are asked for in steps of this size.
constexpr std::size_t kPopulateBytes = std::size_t{4} << 20;

std::span<const std::byte> bytes_in(const Memory& memory) {
  return {memory.data() + kPageBytes, memory.size() - kPageBytes};
}

BroadcastWords& words_in(const Memory& memory) {
  return *reinterpret_cast<BroadcastWords*>(memory.data());
}

/// The maker's side: says that the memory is given up when its last handle is gone.
struct Made : BroadcastMemory {
  ~Made();

  Descriptor fd;
  std::optional<Memory> words;
  std::optional<Memory> memory;
};

/// The other processes' side.
struct Found : BroadcastMemory {
  explicit Found(Memory all) : memory(std::move(all)) {}
  [[nodiscard]] bool given_up() const { return words_in(memory).given_up.load() != 0; }

  Memory memory;
  Descriptor fd;  ///< kept where others may be sent the handle
};

/// What a worker has of broadcasts. Other processes have none: the host shall have nothing that it
/// did not ask for.
struct Keeper {
  std::deque<std::shared_ptr<Found>> found;
  std::vector<std::shared_ptr<BroadcastMemory>> lent;  ///< made here, encoded, not yet taken
};
std::optional<Keeper> keeper;

thread_local KeptLoans* kept_loans = nullptr;
thread_local bool taking_results = false;

/// True if it is a worker's, and lasts no longer than that wants.
bool is_lent(const BroadcastTicket& ticket) {
  return taking_results && ticket.pid != ::getpid();
}

Made::~Made() {
  // In a fork of the maker there is no such page, and in a worker the descriptor is closed.
  if (words && ::getpid() == ticket.pid) words_in(*words).given_up.store(1);
  if (keeper && ::getpid() != ticket.pid) fd.release();
}

/// One fault for many pages, where the kernel can (Linux 5.14).
void populate(const Memory& memory) {
#ifndef MADV_POPULATE_WRITE
  constexpr int MADV_POPULATE_WRITE = 23;
#endif
  for (std::size_t at = 0; at < memory.size(); at += kPopulateBytes) {
    const std::size_t step = std::min(kPopulateBytes, memory.size() - at);
    if (::madvise(memory.data() + at, step, MADV_POPULATE_WRITE) == 0) continue;
    if (errno == ENOMEM || errno == EFAULT) {
      throw SystemError("bulkhead: no memory for a broadcast of " +
                            std::to_string(memory.size() - kPageBytes) + " bytes",
                        ENOMEM);
    }
    return;
  }
}

template <class E = NotShared>
[[noreturn]] void refuse(const std::string& why) {
  throw E("a Broadcast cannot be used here: " + why);
}

const char* advice_on(int error) {
  if (error == EMFILE) return " (each live Broadcast takes one: raise the limit, or drop some)";
  if (error == EACCES) {
    return " (a process that has changed its user is closed even to its own workers: make it "
           "accessible before the Pool is made, by prctl(PR_SET_DUMPABLE, 1))";
  }
  return "";
}

[[noreturn]] void refuse_for(int error, const std::string& path) {
  refuse(path + " cannot be opened: " + std::generic_category().message(error) + advice_on(error));
}

/// The file of a ticket, opened for no use yet: who wrote the ticket may have named anything, and
/// opening some things takes for ever.
Descriptor locate(const BroadcastTicket& ticket, const std::string& path) {
  Descriptor fd(::open(path.c_str(), O_PATH | O_CLOEXEC));
  if (!fd && errno != ENOENT) refuse_for(errno, path);
  struct stat status {};
  struct statfs system {};
  if (!fd || ::fstat(fd.get(), &status) != 0 || ::fstatfs(fd.get(), &system) != 0 ||
      !S_ISREG(status.st_mode) || system.f_type != TMPFS_MAGIC || status.st_ino != ticket.inode ||
      status.st_size < static_cast<off_t>(kPageBytes) ||
      static_cast<std::uint64_t>(status.st_size) - kPageBytes != ticket.bytes) {
    const std::string why = "no handle of it is left in the process that made it (" + path + ")";
    is_lent(ticket) ? refuse<LostLoan>(why) : refuse(why);
  }
  return fd;
}

/// The memory of a ticket, which nobody can resize or write to; of what a task has made not even
/// one page.
Descriptor open_ticket(const BroadcastTicket& ticket) {
  const std::string path =
      "/proc/" + std::to_string(ticket.pid) + "/fd/" + std::to_string(ticket.fd);
  const Descriptor place = locate(ticket, path);
  const std::string there = "/proc/self/fd/" + std::to_string(place.get());
  Descriptor fd(::open(there.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd) refuse_for(errno, there);
  const bool trusted = !is_lent(ticket) && (keeper || ticket.pid == ::getpid());
  const int needed = F_SEAL_SHRINK | F_SEAL_GROW | (trusted ? kSealFutureWrite : F_SEAL_WRITE);
  if ((::fcntl(fd.get(), F_GET_SEALS) & needed) != needed) refuse("it is not sealed");
  return fd;
}

}  // namespace

std::shared_ptr<BroadcastMemory> make_broadcast(
    std::uint64_t bytes, const std::function<void(std::span<std::byte>)>& fill) {
  const std::size_t size = kPageBytes + bytes;
  Descriptor fd = create_memory(size);
  auto made = std::make_shared<Made>();
  if (!keeper) {
    made->words.emplace(fd, kPageBytes, Memory::Access::read_write);
    made->words->keep_private();
  }
  {
    const Memory memory(fd, size, Memory::Access::read_write);
    ::madvise(memory.data(), memory.size(), MADV_HUGEPAGE);
    populate(memory);
    fill({memory.data() + kPageBytes, bytes});
    // A task's is handed over, and nobody hears of its end.
    if (keeper) words_in(memory).given_up.store(1);
  }
  if (keeper && ::fcntl(fd.get(), F_ADD_SEALS, F_SEAL_WRITE) != 0) {
    throw SystemError("bulkhead: cannot seal a broadcast", errno);
  }
  seal_against_writing(fd);
  struct stat status {};
  if (::fstat(fd.get(), &status) != 0) throw SystemError("bulkhead: fstat", errno);
  made->ticket = {static_cast<std::int32_t>(::getpid()), fd.get(), status.st_ino, bytes};
  made->memory.emplace(fd, size, Memory::Access::read_only);
  made->bytes = bytes_in(*made->memory);
  made->fd = std::move(fd);
  return made;
}

BroadcastTicket ticket_of(const std::shared_ptr<BroadcastMemory>& memory) {
  if (!memory) return {};
  if (kept_loans != nullptr) kept_loans->keep(memory);
  if (keeper && memory->ticket.pid == ::getpid()) {
    keeper->lent.push_back(memory);
    lends_broadcasts = true;
  }
  return memory->ticket;
}

std::shared_ptr<BroadcastMemory> find_broadcast(const BroadcastTicket& ticket) {
  forget_broadcasts();
  const bool lent = is_lent(ticket);
  if (keeper) {
    const auto known =
        std::find_if(keeper->found.begin(), keeper->found.end(),
                     [&](const auto& found) { return found->ticket.inode == ticket.inode; });
    if (known != keeper->found.end()) return *known;
  }
  Descriptor fd = open_ticket(ticket);
  auto found =
      std::make_shared<Found>(Memory(fd, kPageBytes + ticket.bytes, Memory::Access::read_only));
  found->ticket = ticket;
  found->bytes = bytes_in(found->memory);
  if (keeper && !lent) {
    if (keeper->found.size() == kMostKept) keeper->found.pop_front();
    keeper->found.push_back(found);
  } else {
    // Its maker, a worker, is about to forget it: from now on it is as if made here.
    found->ticket.pid = static_cast<std::int32_t>(::getpid());
    found->ticket.fd = fd.get();
    found->fd = std::move(fd);
  }
  return found;
}

void keep_broadcasts() {
  keeper = Keeper{};  // not emplace(): what a nested worker has inherited goes in a worker
}

void forget_broadcasts() {
  if (keeper) std::erase_if(keeper->found, [](const auto& found) { return found->given_up(); });
}

void end_loans() {
  lends_broadcasts = false;
  keeper->lent.clear();
}

TakingResults::TakingResults() : before_(std::exchange(taking_results, true)) {}
TakingResults::~TakingResults() {
  taking_results = before_;
}
bool TakingResults::present() {
  return taking_results;
}

KeptLoans::KeptLoans() : before_(std::exchange(kept_loans, this)) {}
KeptLoans::~KeptLoans() {
  kept_loans = before_;
}
KeptLoans* KeptLoans::present() {
  return kept_loans;
}

}  // namespace bulkhead::detail
