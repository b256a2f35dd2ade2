#include "lib/migration/private_directory.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "lib/base/sys_error.h"

namespace pagelift {

absl::Status MakePrivateDirectory(const std::string& path) {
  std::error_code error;
  const std::filesystem::path parent =
      std::filesystem::path(path).parent_path();
  if (!parent.empty()) std::filesystem::create_directories(parent, error);
  if (error) return SysErrorOf(error.value(), "make ", parent.string());
  if (mkdir(path.c_str(), 0700) == 0) return absl::OkStatus();
  if (errno != EEXIST) return SysError("make ", path);
  struct stat info;
  // Not through a link that somebody else has put there.
  if (lstat(path.c_str(), &info) != 0) return SysError("look at ", path);
  if (!S_ISDIR(info.st_mode) || info.st_uid != geteuid() ||
      (info.st_mode & 077) != 0) {
    return absl::PermissionDeniedError(absl::StrCat(
        path,
        " must be a directory of ours that nobody else can look into: "
        "chmod 700, or name another one"));
  }
  return absl::OkStatus();
}

}  // namespace pagelift
