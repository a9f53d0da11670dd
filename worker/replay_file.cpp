// SPDX-License-Identifier: MIT
#include "worker/replay_file.hpp"

#include <bulkhead/error.hpp>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <string_view>
#include <sys/resource.h>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>
#include <utility>

namespace bulkhead::detail {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kBufferBytes = std::size_t{64} << 10;
constexpr std::string_view kEnding = ".bulkhead";
/// What is named with more is not ours.
constexpr std::uint64_t kMostCalls = std::uint64_t{1} << 53;

/// The CALL in a name; 0 if it is not a name of such a file.
std::uint64_t call_in(std::string_view name) {
  std::uint64_t call = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), call);
  const bool right = error == std::errc{} && end != name.data() + name.size() && *end == '-' &&
                     name.ends_with(kEnding) && call < kMostCalls;
  return right ? call : 0;
}

/// Beyond that limit the kernel does not refuse, but sends a signal that ends the host.
bool within_limit(std::uint64_t bytes) {
  rlimit limit{};
  return ::getrlimit(RLIMIT_FSIZE, &limit) != 0 || bytes <= limit.rlim_cur;
}

}  // namespace

std::string replay_directory(const std::string& path) {
  const auto refused = [&path](int error) {
    return SystemError("bulkhead: Options::replay_dir is \"" + path + "\", which cannot be used",
                       error);
  };
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) throw refused(errno);
  if (!S_ISDIR(status.st_mode)) {
    throw InvalidArgument("bulkhead: Options::replay_dir is \"" + path +
                          "\", which is not a directory");
  }
  if (::faccessat(AT_FDCWD, path.c_str(), W_OK | X_OK, AT_EACCESS) != 0) throw refused(errno);
  std::error_code error;
  const fs::path absolute = fs::absolute(path, error);
  if (error) throw refused(error.value());
  return absolute;
}

std::uint64_t next_replay_call(const std::string& directory) {
  std::error_code error;
  std::uint64_t highest = 0;
  for (fs::directory_iterator entry(directory, error), end; !error && entry != end;
       entry.increment(error)) {
    highest = std::max(highest, call_in(entry->path().filename().native()));
  }
  if (error) throw SystemError("bulkhead: cannot read \"" + directory + "\"", error.value());
  return highest + 1;
}

std::string replay_path(const std::string& directory, std::uint64_t call, std::uint64_t task) {
  const std::string name = std::to_string(call) + "-" + std::to_string(task);
  return fs::path(directory) / (name + std::string(kEnding));
}

ReplayFileWriter::ReplayFileWriter(std::string path, std::uint64_t most)
    : path_(std::move(path)),
      most_(most),
      fd_(::open(path_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, S_IRUSR | S_IWUSR)) {
  if (!fd_) throw SystemError("bulkhead: cannot make the file \"" + path_ + "\"", errno);
  try {
    buffer_.resize(kBufferBytes);
  } catch (...) {
    ::unlink(path_.c_str());
    throw;
  }
  at_ = buffer_.data();
  end_ = at_ + buffer_.size();
}

ReplayFileWriter::~ReplayFileWriter() {
  if (fd_) ::unlink(path_.c_str());
}

void ReplayFileWriter::finish() {
  flush();
  const std::uint64_t check = sum_.value();
  write_out(std::as_bytes(std::span(&check, 1)));
  if (::close(fd_.release()) == 0) return;
  const int error = errno;
  ::unlink(path_.c_str());
  throw SystemError("bulkhead: cannot write \"" + path_ + "\"", error);
}

void ReplayFileWriter::write_slow(const std::byte* data, std::size_t size) {
  flush();
  sum_.add({data, size});
  write_out({data, size});
}

void ReplayFileWriter::flush() {
  const std::span<const std::byte> bytes(buffer_.data(), at_);
  sum_.add(bytes);
  write_out(bytes);
  at_ = buffer_.data();
}

void ReplayFileWriter::write_out(std::span<const std::byte> bytes) {
  size_ += bytes.size();
  int error = size_ > most_ || !within_limit(size_) ? EFBIG : 0;
  while (error == 0 && !bytes.empty()) {
    const ssize_t written = ::write(fd_.get(), bytes.data(), bytes.size());
    if (written >= 0) {
      bytes = bytes.subspan(static_cast<std::size_t>(written));
    } else if (errno != EINTR) {
      error = errno;
    }
  }
  if (error != 0) throw SystemError("bulkhead: cannot write \"" + path_ + "\"", error);
}

std::vector<std::byte> read_file(const std::string& path) {
  const auto refused = [&path](int error) {
    return SystemError("bulkhead: cannot read \"" + path + "\"", error);
  };
  const Descriptor fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  struct stat status {};
  if (!fd || ::fstat(fd.get(), &status) != 0) throw refused(errno);
  if (S_ISDIR(status.st_mode)) throw refused(EISDIR);
  if (!S_ISREG(status.st_mode)) throw refused(EINVAL);
  if (static_cast<std::uint64_t>(status.st_size) > kMostReplayBytes) throw refused(EFBIG);
  std::vector<std::byte> bytes(static_cast<std::size_t>(status.st_size));
  std::size_t have = 0;
  while (have < bytes.size()) {
    const ssize_t got = ::read(fd.get(), bytes.data() + have, bytes.size() - have);
    if (got == 0) break;
    if (got > 0) {
      have += static_cast<std::size_t>(got);
    } else if (errno != EINTR) {
      throw refused(errno);
    }
  }
  bytes.resize(have);
  return bytes;
}

}  // namespace bulkhead::detail
