// SPDX-License-Identifier: MIT
//
// The coordinator's reading of the crash page. The page is copied once; every index, length and
// text of the copy is checked.
#include "worker/crash_page.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <string_view>

namespace bulkhead::detail {
namespace {

/// Length of the UTF-8 character that `text` begins with; 0 if it is malformed or a control.
std::size_t printable_length(std::string_view text) {
  const auto byte = [text](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned lead = byte(0);
  if (lead < 0x80) return lead >= 0x20 && lead != 0x7f ? 1 : 0;
  const std::size_t length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  if (lead < 0xc2 || lead > 0xf4 || text.size() < length) return 0;
  std::uint32_t point = lead & (0x7fU >> length);
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0U) != 0x80U) return 0;
    point = (point << 6U) | (byte(i) & 0x3fU);
  }
  constexpr std::array<std::uint32_t, 5> kSmallest{0, 0, 0xa0, 0x800, 0x10000};
  const bool is_surrogate = point >= 0xd800 && point <= 0xdfff;
  return point >= kSmallest[length] && point <= 0x10ffff && !is_surrogate ? length : 0;
}

std::string printable(std::string_view text) {
  std::string result;
  while (!text.empty()) {
    const std::size_t length = printable_length(text);
    if (length != 0) {
      result.append(text.substr(0, length));
    } else {
      result.push_back(text[0] == '\n' || text[0] == '\t' ? ' ' : '?');
    }
    text.remove_prefix(std::max<std::size_t>(length, 1));
  }
  result.erase(result.find_last_not_of(' ') + 1);
  return result;
}

CrashFrame read_frame(const CrashPage& page, const PageFrame& frame) {
  CrashFrame result;
  result.address = frame.address;
  if (frame.module >= std::min<std::size_t>(page.module_count, kMaxModules)) return result;
  const PageModule& module = page.modules[frame.module];
  if (module.path_begin > kPathBytes || module.path_size > kPathBytes - module.path_begin) {
    return result;
  }
  result.module_base = module.base;
  result.build_id = module.build_id;
  result.module = printable({page.paths.data() + module.path_begin, module.path_size});
  return result;
}

}  // namespace

std::optional<CrashReport> read_crash_report(const std::byte* page) {
  const auto* live_state = reinterpret_cast<const std::uint32_t*>(page);
  const std::uint32_t state = __atomic_load_n(live_state, __ATOMIC_ACQUIRE);
  if (state != kFacts && state != kComplete) return std::nullopt;
  CrashPage copy;
  std::memcpy(&copy, page, sizeof copy);
  const bool is_fatal =
      std::find(kFatalSignals.begin(), kFatalSignals.end(), copy.signal) != kFatalSignals.end();
  const bool is_exit = copy.signal == 0 && copy.message_size != 0;
  if (copy.magic != kMagic || !(is_fatal || is_exit)) return std::nullopt;
  CrashReport report;
  report.signal = copy.signal;
  report.code = copy.code;
  report.has_fault_address = copy.has_fault_address != 0;
  if (report.has_fault_address) report.fault_address = copy.fault_address;
  if (copy.message_size <= kMessageBytes) {
    report.message = printable({copy.message.data(), copy.message_size});
  }
  if (copy.frame_count > kMaxFrames) return report;
  for (std::size_t i = 0; i < copy.frame_count; ++i) {
    report.frames.push_back(read_frame(copy, copy.frames[i]));
  }
  return report;
}

}  // namespace bulkhead::detail
