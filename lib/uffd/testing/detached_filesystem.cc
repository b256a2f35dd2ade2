#include "lib/uffd/testing/detached_filesystem.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cerrno>

#include "lib/base/log.h"

namespace pagelift {

UniqueFd FileOnNewFilesystem(const char* type, PageCount size,
                             const char* capacity) {
  UniqueFd context(fsopen(type, FSOPEN_CLOEXEC));
  CHECK(context.valid()) << type << ": errno " << errno;
  if (capacity != nullptr) {
    CHECK(fsconfig(context.get(), FSCONFIG_SET_STRING, "size", capacity, 0) ==
          0)
        << type << " of " << capacity << ": errno " << errno;
  }
  CHECK(fsconfig(context.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) == 0)
      << type << ": errno " << errno;
  UniqueFd mount(fsmount(context.get(), FSMOUNT_CLOEXEC, 0));
  CHECK(mount.valid()) << type << ": errno " << errno;
  UniqueFd file(
      openat(mount.get(), "file", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  CHECK(file.valid()) << type << ": errno " << errno;
  CHECK(ftruncate(file.get(), static_cast<off_t>(size.bytes())) == 0)
      << type << ": errno " << errno;
  return file;
}

}  // namespace pagelift
