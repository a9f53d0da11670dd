// SPDX-License-Identifier: MIT
#include "worker/memory.hpp"

#include <bulkhead/error.hpp>

#include <cerrno>
#include <fcntl.h>
#include <string>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <boost/interprocess/exceptions.hpp>

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U
#endif

namespace bulkhead::detail {
namespace {

namespace ipc = boost::interprocess;

/// Boost.Interprocess maps whatever has these two functions (its MemoryMappable concept).
class Mappable {
 public:
  explicit Mappable(int fd) : fd_(fd) {}
  [[nodiscard]] ipc::mapping_handle_t get_mapping_handle() const noexcept {
    return ipc::ipcdetail::mapping_handle_from_file_handle(fd_);
  }
  [[nodiscard]] ipc::mode_t get_mode() const noexcept { return ipc::read_write; }

 private:
  int fd_;
};

int new_memfd() {
  constexpr unsigned kFlags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
  // Linux before 6.3 does not know the flag and says EINVAL.
  const int fd = ::memfd_create("bulkhead", kFlags | MFD_NOEXEC_SEAL);
  return fd >= 0 || errno != EINVAL ? fd : ::memfd_create("bulkhead", kFlags);
}

/// Beyond that limit the kernel does not refuse, but sends a signal that ends the host.
void require_file_size(std::size_t bytes) {
  rlimit limit{};
  if (::getrlimit(RLIMIT_FSIZE, &limit) != 0 || limit.rlim_cur >= bytes) return;
  throw SystemError("bulkhead: shared memory of " + std::to_string(bytes) +
                        " bytes is above the limit on file sizes (RLIMIT_FSIZE)",
                    EFBIG);
}

}  // namespace

Memory::Memory(const Descriptor& fd, std::size_t bytes, Access access) : owner_(::getpid()) {
  const auto mode = access == Access::read_write ? ipc::read_write : ipc::read_only;
  try {
    region_ = std::make_unique<ipc::mapped_region>(Mappable(fd.get()), mode, 0, bytes);
  } catch (const ipc::interprocess_exception& error) {
    throw SystemError("bulkhead: cannot map " + std::to_string(bytes) + " bytes of shared memory",
                      error.get_native_error());
  }
}

Memory::~Memory() {
  // Gives back the object without its destructor, which would unmap.
  if (::getpid() != owner_) ::operator delete(static_cast<void*>(region_.release()));
}

void Memory::keep_private() const {
  ::madvise(region_->get_address(), region_->get_size(), MADV_DONTFORK);
  ::madvise(region_->get_address(), region_->get_size(), MADV_DONTDUMP);
}

Descriptor create_memory(std::size_t bytes) {
  require_file_size(bytes);
  Descriptor fd(new_memfd());
  if (!fd) throw SystemError("bulkhead: cannot create shared memory (memfd_create)", errno);
  if (::ftruncate(fd.get(), static_cast<off_t>(bytes)) != 0 ||
      ::fcntl(fd.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) != 0) {
    throw SystemError("bulkhead: cannot size " + std::to_string(bytes) + " bytes of shared memory",
                      errno);
  }
  return fd;
}

void seal_against_writing(const Descriptor& fd) {
  if (::fcntl(fd.get(), F_ADD_SEALS, kSealFutureWrite | F_SEAL_SEAL) != 0) {
    throw SystemError("bulkhead: cannot seal shared memory", errno);
  }
}

}  // namespace bulkhead::detail
