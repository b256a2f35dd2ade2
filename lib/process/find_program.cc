#include "lib/process/find_program.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace pagelift {
namespace {

constexpr char kInstalledCriu[] = "/opt/pagelift/bin/criu";

bool IsExecutable(const std::string& path) {
  struct stat info;
  return stat(path.c_str(), &info) == 0 && S_ISREG(info.st_mode) &&
         access(path.c_str(), X_OK) == 0;
}

std::string OnPath(const std::string& name) {
  const char* path = getenv("PATH");
  for (absl::string_view folder :
       absl::StrSplit(path == nullptr ? "" : path, ':', absl::SkipEmpty())) {
    std::string candidate = absl::StrCat(folder, "/", name);
    if (IsExecutable(candidate)) return candidate;
  }
  return "";
}

}  // namespace

std::string SiblingProgram(const std::string& name) {
  char self[4096];
  const ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
  if (n > 0) {
    std::string path(self, static_cast<size_t>(n));
    std::string sibling =
        absl::StrCat(path.substr(0, path.rfind('/') + 1), name);
    if (IsExecutable(sibling)) return sibling;
  }
  return name;
}

absl::StatusOr<std::string> FindCriu(const std::string& asked) {
  const char* from_environment = getenv("PAGELIFT_CRIU");
  if (!asked.empty()) {
    if (IsExecutable(asked)) return asked;
    std::string found = OnPath(asked);
    if (asked.find('/') == std::string::npos && !found.empty()) return found;
    return absl::NotFoundError(
        absl::StrCat("there is no program ", asked, " (--criu)"));
  }
  if (from_environment != nullptr && *from_environment != 0) {
    if (IsExecutable(from_environment)) return std::string(from_environment);
    return absl::NotFoundError(absl::StrCat(
        "there is no program ", from_environment, " (from PAGELIFT_CRIU)"));
  }
  if (IsExecutable(kInstalledCriu)) return std::string(kInstalledCriu);
  std::string found = OnPath("criu");
  if (!found.empty()) return found;
  return absl::NotFoundError(
      "criu was not found: run tools/install_deps, or name it with --criu");
}

}  // namespace pagelift
