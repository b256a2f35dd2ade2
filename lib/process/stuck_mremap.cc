#include "lib/process/stuck_mremap.h"

#include <sys/mman.h>
#include <sys/syscall.h>

#include <cerrno>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <system_error>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "lib/base/status_macros.h"

namespace pagelift {
namespace {

// The function in which a thread sleeps that waits for a page.
constexpr std::string_view kWaitsForPage = "handle_userfault";
constexpr size_t kArguments = 5;

// Such a file is empty, and errno set, if it must not be read.
std::string Contents(const std::string& path) {
  errno = 0;
  std::ifstream file(path);
  return std::string(std::istreambuf_iterator<char>(file), {});
}

PageId PageAt(uint64_t address) { return PageId(address >> kPageShift); }

// As the kernel rounds lengths.
PageCount PagesIn(uint64_t bytes) {
  return PageCount(bytes / kPageSize + (bytes % kPageSize != 0 ? 1 : 0));
}

absl::Status ForEachStuckMremap(
    pid_t pid,
    absl::FunctionRef<void(const std::string& thread, const StuckMremap&)>
        visit) {
  std::error_code error;
  for (const auto& thread : std::filesystem::directory_iterator(
           absl::StrCat("/proc/", pid, "/task"), error)) {
    const std::string path = thread.path();
    if (Contents(path + "/wchan") != kWaitsForPage) continue;
    const std::string syscall = Contents(path + "/syscall");
    if (syscall.empty() && (errno == EPERM || errno == EACCES)) {
      return absl::PermissionDeniedError(
          absl::StrCat("may not read ", path, "/syscall"));
    }
    const std::optional<StuckMremap> call = ParseStuckMremap(syscall);
    if (call.has_value()) visit(thread.path().filename(), *call);
  }
  if (error) {
    return absl::NotFoundError(
        absl::StrCat("no threads of process ", pid, ": ", error.message()));
  }
  return absl::OkStatus();
}

}  // namespace

std::optional<StuckMremap> ParseStuckMremap(std::string_view syscall) {
  const std::vector<std::string> words =
      absl::StrSplit(absl::string_view(syscall.data(), syscall.size()),
                     absl::ByAnyChar(" \n"), absl::SkipEmpty());
  int64_t number = -1;
  if (words.size() <= kArguments || !absl::SimpleAtoi(words[0], &number) ||
      number != SYS_mremap) {
    return std::nullopt;
  }
  uint64_t arguments[kArguments];
  for (size_t i = 0; i < kArguments; ++i) {
    if (!absl::SimpleHexAtoi(words[i + 1], &arguments[i])) return std::nullopt;
  }
  const auto [from, old_bytes, new_bytes, flags, to] = arguments;
  StuckMremap call;
  call.from = {PageAt(from), PagesIn(old_bytes)};
  call.new_count = PagesIn(new_bytes);
  if ((flags & MREMAP_MAYMOVE) == 0 || !(call.from.count < call.new_count) ||
      call.from.empty()) {
    return std::nullopt;
  }
  if ((flags & MREMAP_FIXED) != 0) call.to = PageAt(to);
  return call;
}

absl::StatusOr<std::vector<StuckMremap>> FindStuckMremaps(pid_t pid) {
  std::vector<StuckMremap> found;
  RETURN_IF_ERROR(
      ForEachStuckMremap(pid, [&](const std::string&, const StuckMremap& call) {
        found.push_back(call);
      }));
  return found;
}

std::vector<ThreadId> ThreadsInStuckMremaps() {
  std::vector<ThreadId> threads;
  std::error_code error;
  for (const auto& entry :
       std::filesystem::directory_iterator("/proc", error)) {
    ThreadId found;
    if (!absl::SimpleAtoi(entry.path().filename().string(), &found.process)) {
      continue;
    }
    const absl::Status searched = ForEachStuckMremap(
        found.process, [&](const std::string& thread, const StuckMremap&) {
          if (found.thread == 0) (void)absl::SimpleAtoi(thread, &found.thread);
        });
    if (searched.ok() && found.thread != 0) threads.push_back(found);
  }
  return threads;
}

}  // namespace pagelift
