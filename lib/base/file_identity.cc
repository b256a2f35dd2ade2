#include "lib/base/file_identity.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "lib/base/sys_error.h"

namespace pagelift {
namespace {

constexpr int64_t kNanosPerSecond = 1000000000;

}  // namespace

absl::StatusOr<FileIdentity> FileIdentity::Of(int directory,
                                              const std::string& path) {
  struct stat info;
  if (fstatat(directory, path.c_str(), &info, 0) != 0) {
    return SysError("stat of ", path);
  }
  FileIdentity identity;
  identity.device = info.st_dev;
  identity.inode = info.st_ino;
  identity.mtime_ns =
      info.st_mtim.tv_sec * kNanosPerSecond + info.st_mtim.tv_nsec;
  identity.ctime_ns =
      info.st_ctim.tv_sec * kNanosPerSecond + info.st_ctim.tv_nsec;
  identity.size = static_cast<uint64_t>(info.st_size);
  return identity;
}

}  // namespace pagelift
