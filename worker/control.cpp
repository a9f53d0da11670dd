// SPDX-License-Identifier: MIT
#include "worker/control.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <sys/socket.h>
#include <sys/uio.h>

namespace bulkhead::detail {
namespace {

constexpr std::size_t kFdBytes = kMostControlDescriptors * sizeof(int);

struct alignas(cmsghdr) Ancillary {
  std::array<char, CMSG_SPACE(kFdBytes)> bytes{};
};

}  // namespace

int send_control(int socket, const ControlMessage& message, std::span<const int> fds) {
  ControlMessage copy = message;
  iovec vector{&copy, sizeof copy};
  msghdr header{};
  header.msg_iov = &vector;
  header.msg_iovlen = 1;
  Ancillary ancillary;
  if (!fds.empty()) {
    header.msg_control = ancillary.bytes.data();
    header.msg_controllen = CMSG_SPACE(fds.size_bytes());
    cmsghdr* control = CMSG_FIRSTHDR(&header);
    control->cmsg_level = SOL_SOCKET;
    control->cmsg_type = SCM_RIGHTS;
    control->cmsg_len = CMSG_LEN(fds.size_bytes());
    std::memcpy(CMSG_DATA(control), fds.data(), fds.size_bytes());
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
  const std::size_t count = has_fds ? (control->cmsg_len - CMSG_LEN(0)) / sizeof(int) : 0;
  for (std::size_t i = 0; i < std::min(count, owned.size()); ++i) {
    int raw = -1;
    std::memcpy(&raw, CMSG_DATA(control) + i * sizeof raw, sizeof raw);
    owned[i] = Descriptor(raw);
  }
  const bool cut = (header.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0;
  if (size != sizeof message || cut || (has_fds && !owned[0])) return Received::closed;
  if (fds != nullptr) *fds = std::move(owned);
  return Received::message;
}

}  // namespace bulkhead::detail
