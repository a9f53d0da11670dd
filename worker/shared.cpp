// SPDX-License-Identifier: MIT
//
//   the memfd    0      SharedWords
//                4096   room for a copy of one element, up to a multiple of 64 bytes
//                       the elements
//
// Who changes an element without std::atomic works on the copy, under a lock of the file, which the
// kernel gives back when its process ends: nothing that a worker could have written over decides
// about it. When the copy is complete `replacing` says so, and only then it takes the element's
// place: who has the lock next finishes that, or forgets the copy.
#include "worker/broadcast.hpp"
#include "worker/descriptor.hpp"
#include "worker/host.hpp"
#include "worker/memory.hpp"
#include <bulkhead/detail/kept_loans.hpp>
#include <bulkhead/error.hpp>
#include <bulkhead/shared.hpp>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <deque>
#include <fcntl.h>
#include <map>
#include <mutex>
#include <new>
#include <optional>
#include <string>
#include <sys/stat.h>
#include <thread>
#include <utility>

namespace bulkhead::detail {
namespace {

/// The most that a process keeps of what it was sent, though no handle of it is left here.
constexpr std::size_t kMostKept = 8;
constexpr std::uint64_t kNothing = ~std::uint64_t{0};

struct SharedWords {
  std::atomic<std::uint64_t> replacing;  ///< where the copy belongs; or kNothing
  std::atomic<std::uint32_t> given_up;   ///< 1: the maker has no handle any more
};
static_assert(sizeof(SharedWords) <= kPageBytes);

constexpr std::size_t scratch_bytes(std::size_t element) {
  return (element + 63) / 64 * 64;
}

[[noreturn]] void refuse(const std::string& why) {
  throw NotShared("shared state cannot be used here: " + why);
}

Descriptor open_ticket(const BroadcastTicket& ticket, std::size_t element) {
  const std::string path =
      "/proc/" + std::to_string(ticket.pid) + "/fd/" + std::to_string(ticket.fd);
  Descriptor fd(::open(path.c_str(), O_RDWR | O_CLOEXEC | O_NONBLOCK));
  struct stat status {};
  if (!fd || ::fstat(fd.get(), &status) != 0 || status.st_ino != ticket.inode ||
      static_cast<std::uint64_t>(status.st_size) !=
          kPageBytes + scratch_bytes(element) + ticket.bytes) {
    refuse("no handle of it is left in the process that made it (" + path + ")");
  }
  return fd;
}

struct Mapped : SharedMemory {
  Mapped(Descriptor file, std::size_t element_bytes, std::size_t bytes)
      : fd(std::move(file)),
        memory(fd, kPageBytes + scratch_bytes(element_bytes) + bytes, Memory::Access::read_write),
        element(element_bytes) {
    scratch = memory.data() + kPageBytes;
    elements = {scratch + scratch_bytes(element), bytes};
  }
  Mapped(const Mapped&) = delete;
  Mapped& operator=(const Mapped&) = delete;
  ~Mapped() {
    if (own_pid() == ticket.pid) words().given_up = 1;
    if (is_inherited()) fd.release();
    if (own_file_of != own_pid()) own_file.release();
  }
  /// To be locked. Under the mutex.
  [[nodiscard]] int file() {
    if (!is_inherited()) return fd.get();
    if (own_file_of != own_pid()) {
      own_file.release();
      own_file = open_ticket(ticket, element);
      own_file_of = own_pid();
    }
    return own_file.get();
  }
  [[nodiscard]] SharedWords& words() const {
    return *std::launder(reinterpret_cast<SharedWords*>(memory.data()));
  }
  /// This is a fork: in workers what was inherited is mapped, but its descriptor closed.
  [[nodiscard]] bool is_inherited() const { return mapped_by != own_pid(); }

  Descriptor fd;
  Memory memory;
  const std::size_t element;  ///< bytes
  const pid_t mapped_by = own_pid();
  Descriptor own_file;
  pid_t own_file_of = 0;
  std::mutex mutex;  ///< among the threads of this process
  std::atomic<std::thread::id> changer{};
};

/// What there is of it in this process. A worker has inherited what its host had when it was
/// forked.
struct Known {
  std::mutex mutex;
  std::map<std::uint64_t, std::weak_ptr<Mapped>> all;  ///< by inode
  std::deque<std::shared_ptr<Mapped>> kept;            ///< that were sent to this process
};
Known& known() {
  static Known* const instance = new Known;  // outlives static objects that use it
  return *instance;
}

void remember(const std::shared_ptr<Mapped>& memory) {
  Known& here = known();
  const std::lock_guard lock(here.mutex);
  std::erase_if(here.all, [](const auto& each) { return each.second.expired(); });
  here.all[memory->ticket.inode] = memory;
}

std::shared_ptr<Mapped> find_known(const BroadcastTicket& ticket) {
  Known& here = known();
  const std::lock_guard lock(here.mutex);
  const auto found = here.all.find(ticket.inode);
  const auto memory = found == here.all.end() ? nullptr : found->second.lock();
  return memory && memory->ticket.pid == ticket.pid && memory->ticket.bytes == ticket.bytes
             ? memory
             : nullptr;
}

/// Holds on to it: the next task is likely to be sent it again.
void keep(const std::shared_ptr<Mapped>& memory) {
  std::deque<std::shared_ptr<Mapped>> dropped;  // after the lock
  Known& here = known();
  const std::lock_guard lock(here.mutex);
  for (auto& each : here.kept) {
    if (each->words().given_up.load() != 0) dropped.push_back(std::move(each));
  }
  std::erase(here.kept, nullptr);
  if (here.kept.size() == kMostKept) {
    dropped.push_back(std::move(here.kept.front()));
    here.kept.pop_front();
  }
  here.kept.push_back(memory);
}

/// While it lasts this thread is the only one of all processes that has the scratch.
class Turn {
 public:
  explicit Turn(Mapped& memory) : memory_(memory) {
    const auto self = std::this_thread::get_id();
    if (memory.changer.load() == self)
      throw Error("bulkhead: shared state was used by the function that is just changing it");
    memory.mutex.lock();
    try {
      file_ = memory.file();
      lock();
    } catch (...) {
      memory.mutex.unlock();
      throw;
    }
    memory.changer = self;
    finish();
  }
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;
  ~Turn() {
    static_cast<void>(set_lock(F_UNLCK));
    memory_.changer = std::thread::id{};
    memory_.mutex.unlock();
  }

  /// The copy takes the element's place.
  void finish() {
    SharedWords& words = memory_.words();
    const std::uint64_t at = words.replacing.load();
    const std::size_t size = memory_.element;
    if (at == kNothing || size > memory_.elements.size() || at > memory_.elements.size() - size)
      return;
    std::memcpy(memory_.elements.data() + at, memory_.scratch, size);
    words.replacing = kNothing;
  }

 private:
  [[nodiscard]] int set_lock(short kind) const {
    struct flock whole {};
    whole.l_type = kind;
    whole.l_whence = SEEK_SET;
    return ::fcntl(file_, F_SETLKW, &whole);
  }
  void lock() const {
    while (set_lock(F_WRLCK) != 0) {
      if (errno != EINTR) throw SystemError("bulkhead: cannot lock shared state", errno);
    }
  }

  Mapped& memory_;
  int file_ = -1;
};

}  // namespace

std::shared_ptr<SharedMemory> make_shared_memory(std::size_t element, std::size_t count) {
  if (count > (std::size_t{1} << 60) / element) throw std::bad_alloc();
  const std::size_t bytes = element * count;
  auto memory = std::make_shared<Mapped>(create_memory(kPageBytes + scratch_bytes(element) + bytes),
                                         element, bytes);
  struct stat status {};
  if (::fstat(memory->fd.get(), &status) != 0) throw SystemError("bulkhead: fstat", errno);
  auto* words = new (memory->memory.data()) SharedWords{};
  words->replacing = kNothing;
  memory->ticket = {static_cast<std::int32_t>(own_pid()), memory->fd.get(), status.st_ino, bytes};
  remember(memory);
  return memory;
}

BroadcastTicket ticket_of(const std::shared_ptr<SharedMemory>& memory) {
  if (!memory) return {};
  if (KeptLoans* loans = KeptLoans::present()) loans->keep(memory);
  return memory->ticket;
}

std::shared_ptr<SharedMemory> find_shared_memory(const BroadcastTicket& ticket,
                                                 std::size_t element) {
  if (ticket.bytes % element != 0) refuse("it is of another type");
  if (auto memory = find_known(ticket)) {
    if (memory->element != element) refuse("it is of another type");
    return memory;
  }
  // A worker is not believed: what comes from one must be known here.
  if (TakingResults::present()) refuse("it was made in a task, and ends with it");
  Descriptor fd = open_ticket(ticket, element);
  auto memory = std::make_shared<Mapped>(std::move(fd), element, ticket.bytes);
  memory->ticket = ticket;
  remember(memory);
  keep(memory);
  return memory;
}

void change_shared(SharedMemory& memory, std::size_t at,
                   const std::function<void(std::byte*)>& change) {
  auto& mapped = static_cast<Mapped&>(memory);
  Turn turn(mapped);
  std::memcpy(memory.scratch, memory.elements.data() + at, mapped.element);
  change(memory.scratch);
  mapped.words().replacing = at;
  std::atomic_thread_fence(std::memory_order_seq_cst);  // before the element's first byte
  turn.finish();
}

void throw_unmade() {
  throw Error(
      "bulkhead: this Shared refers to nothing; give it a value (Shared<long> found(0)), or assign "
      "another to it");
}

}  // namespace bulkhead::detail
