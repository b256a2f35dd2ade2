#include "daemon/page_server/directory_identity.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>

#include "lib/base/sys_error.h"

namespace pagelift {
namespace {

constexpr char kInventory[] = "inventory.img";
constexpr int64_t kNanosPerSecond = 1000000000;

}  // namespace

absl::StatusOr<DirectoryIdentity> DirectoryIdentity::Of(int directory) {
  struct stat info;
  if (fstatat(directory, kInventory, &info, 0) != 0) {
    if (errno == ENOENT) {
      return absl::NotFoundError("no inventory.img: not a checkpoint");
    }
    return SysError("stat of inventory.img");
  }
  DirectoryIdentity identity;
  identity.device = info.st_dev;
  identity.inode = info.st_ino;
  identity.mtime_ns =
      info.st_mtim.tv_sec * kNanosPerSecond + info.st_mtim.tv_nsec;
  identity.size = static_cast<uint64_t>(info.st_size);
  return identity;
}

}  // namespace pagelift
