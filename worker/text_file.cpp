// SPDX-License-Identifier: MIT
#include "worker/text_file.hpp"

#include "worker/write_signals.hpp"
#include <bulkhead/error.hpp>

#include <cerrno>
#include <fcntl.h>
#include <unistd.h>
#include <utility>

namespace bulkhead::detail {
namespace {

constexpr int kMode = 0666;

}  // namespace

TextFile::TextFile(std::string path)
    : path_(std::move(path)),
      fd_(::open(path_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY, kMode)) {
  const int error = errno;
  if (fd_.get() < 0) throw SystemError("bulkhead: " + path_ + " cannot be written", error);
}

void TextFile::append(std::string_view text) {
  const WriteSignalsIgnored ignored;
  for (std::size_t done = 0; done < text.size();) {
    const ssize_t step = ::write(fd_.get(), text.data() + done, text.size() - done);
    if (step < 0 && errno == EINTR) continue;
    if (step <= 0) cut_back(step < 0 ? errno : ENOSPC);
    done += static_cast<std::size_t>(step);
  }
  size_ += text.size();
}

void TextFile::cut_back(int error) {
  if (::ftruncate(fd_.get(), static_cast<off_t>(size_)) == 0)
    static_cast<void>(::lseek(fd_.get(), 0, SEEK_END));
  throw SystemError("bulkhead: " + path_ + " cannot be written", error);
}

}  // namespace bulkhead::detail
