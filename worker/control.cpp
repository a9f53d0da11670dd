// SPDX-License-Identifier: MIT
#include "worker/control.hpp"

#include <cerrno>
#include <cstring>
#include <sys/socket.h>
#include <sys/uio.h>

namespace bulkhead::detail {
namespace {

constexpr std::size_t kFdBytes = 2 * sizeof(int);

struct alignas(cmsghdr) Ancillary {
  std::array<char, CMSG_SPACE(kFdBytes)> bytes{};
};

}  // namespace

int send_control(int socket, const ControlMessage& message, const std::array<int, 2>* fds) {
  ControlMessage copy = message;
  iovec vector{&copy, sizeof copy};
  msghdr header{};
  header.msg_iov = &vector;
  header.msg_iovlen = 1;
  Ancillary ancillary;
  if (fds != nullptr) {
    header.msg_control = ancillary.bytes.data();
    header.msg_controllen = ancillary.bytes.size();
    cmsghdr* control = CMSG_FIRSTHDR(&header);
    control->cmsg_level = SOL_SOCKET;
    control->cmsg_type = SCM_RIGHTS;
    control->cmsg_len = CMSG_LEN(kFdBytes);
    std::memcpy(CMSG_DATA(control), fds->data(), kFdBytes);
  }
  for (;;) {
    if (::sendmsg(socket, &header, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0) return 0;
    if (errno != EINTR) return errno;
  }
}

Received receive_control(int socket, ControlMessage& message, ControlDescriptors* fds) {
  iovec vector{&message, sizeof message};
  msghdr header{};
  header.msg_iov = &vector;
  header.msg_iovlen = 1;
  Ancillary ancillary;
  header.msg_control = ancillary.bytes.data();
  header.msg_controllen = ancillary.bytes.size();
  ssize_t size = 0;
  do {
    size = ::recvmsg(socket, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  } while (size < 0 && errno == EINTR);
  if (size < 0) return errno == EAGAIN ? Received::nothing : Received::closed;
  // Whatever is wrong with the message, descriptors that came with it are ours to close.
  ControlDescriptors owned;
  const cmsghdr* control = CMSG_FIRSTHDR(&header);
  const bool has_fds = control != nullptr && control->cmsg_type == SCM_RIGHTS;
  if (has_fds && control->cmsg_len == CMSG_LEN(kFdBytes)) {
    std::array<int, 2> raw{-1, -1};
    std::memcpy(raw.data(), CMSG_DATA(control), kFdBytes);
    owned = {Descriptor(raw[0]), Descriptor(raw[1])};
  }
  const bool cut = (header.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0;
  if (size != sizeof message || cut || (has_fds && !owned[0])) return Received::closed;
  if (fds != nullptr) *fds = std::move(owned);
  return Received::message;
}

}  // namespace bulkhead::detail
