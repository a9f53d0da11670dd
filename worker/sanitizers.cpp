// SPDX-License-Identifier: MIT
#include "worker/sanitizers.hpp"

#include "worker/crash.hpp"

#include <array>
#include <cstdio>
#include <dlfcn.h>
#include <string_view>

namespace bulkhead::detail {
namespace {

/// The line of a report that begins with `head`, without that; empty if there is none.
std::string_view line_after(std::string_view report, std::string_view head) noexcept {
  const std::size_t at = report.find(head);
  if (at == std::string_view::npos) return {};
  report.remove_prefix(at + head.size());
  return report.substr(0, report.find('\n'));
}

void note_address_report(const char* report) noexcept {
  std::string_view what = line_after(report, "SUMMARY: ");
  if (what.empty()) what = line_after(report, "ERROR: ");
  leave_last_words(what);
}

using UndefinedReport = void (*)(const char** kind, const char** message, const char** file,
                                 unsigned* line, unsigned* column, char** address);
UndefinedReport undefined_report = nullptr;

/// The process is about to exit as undefined behaviour was found.
void note_undefined_behaviour() noexcept {
  const char* kind = nullptr;
  const char* message = nullptr;
  const char* file = nullptr;
  char* address = nullptr;
  unsigned line = 0;
  unsigned column = 0;
  undefined_report(&kind, &message, &file, &line, &column, &address);
  if (message == nullptr || file == nullptr) return;
  std::array<char, 512> text{};
  const int size = std::snprintf(text.data(), text.size(),
                                 "UndefinedBehaviorSanitizer: %s at %s:%u", message, file, line);
  if (size > 0) leave_last_words(text.data());
}

template <class Function>
Function find(const char* name) {
  return reinterpret_cast<Function>(::dlsym(RTLD_DEFAULT, name));
}

}  // namespace

void listen_to_sanitizers() {
  if (const auto address =
          find<void (*)(void (*)(const char*))>("__asan_set_error_report_callback")) {
    return address(note_address_report);
  }
  undefined_report = find<UndefinedReport>("__ubsan_get_current_report_data");
  const auto at_death = find<void (*)(void (*)())>("__sanitizer_set_death_callback");
  if (undefined_report != nullptr && at_death != nullptr) at_death(note_undefined_behaviour);
}

}  // namespace bulkhead::detail
