#include "lib/base/replace_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "absl/strings/str_cat.h"
#include "lib/base/status_macros.h"
#include "lib/base/sys_error.h"
#include "lib/base/unique_fd.h"
#include "lib/base/write_all.h"

namespace pagelift {
namespace {

std::string NewName(const std::string& name) {
  return absl::StrCat(name, ".new");
}

absl::Status RemoveIfThere(int directory, const std::string& name) {
  if (unlinkat(directory, name.c_str(), 0) != 0 && errno != ENOENT) {
    return SysError("remove ", name);
  }
  return absl::OkStatus();
}

absl::Status Replace(int directory, const std::string& name,
                     absl::string_view contents, bool sync) {
  const std::string new_name = NewName(name);
  RETURN_IF_ERROR(RemoveIfThere(directory, new_name));
  const UniqueFd fd(openat(directory, new_name.c_str(),
                           O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!fd.valid()) return SysError("make ", new_name);
  absl::Status written = WriteAll(fd.get(), contents);
  if (written.ok() && sync && fsync(fd.get()) != 0) {
    written = SysError("fsync");
  }
  if (written.ok() &&
      renameat(directory, new_name.c_str(), directory, name.c_str()) != 0) {
    written = SysError("rename");
  }
  if (!written.ok()) unlinkat(directory, new_name.c_str(), 0);
  return written;
}

}  // namespace

absl::Status ReplaceFile(int directory, const std::string& name,
                         absl::string_view contents) {
  return Replace(directory, name, contents, /*sync=*/true);
}

absl::Status ReplaceUnsynced(int directory, const std::string& name,
                             absl::string_view contents) {
  return Replace(directory, name, contents, /*sync=*/false);
}

absl::Status RemoveReplaceableFile(int directory, const std::string& name) {
  RETURN_IF_ERROR(RemoveIfThere(directory, NewName(name)));
  return RemoveIfThere(directory, name);
}

}  // namespace pagelift
