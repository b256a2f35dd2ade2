#include "lib/uffd/refuse_holes.h"

#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>

#include "absl/status/statusor.h"
#include "lib/base/status_macros.h"
#include "lib/base/sys_error.h"
#include "lib/base/unique_fd.h"

namespace pagelift {
namespace {

absl::StatusOr<UniqueFd> OpenForSigbus() {
  UniqueFd fd(static_cast<int>(
      syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK | UFFD_USER_MODE_ONLY)));
  if (!fd.valid()) return SysError("userfaultfd");
  uffdio_api api = {};
  api.api = UFFD_API;
  api.features = UFFD_FEATURE_SIGBUS | UFFD_FEATURE_MISSING_SHMEM;
  if (ioctl(fd.get(), UFFDIO_API, &api) != 0) return SysError("UFFDIO_API");
  return fd;
}

}  // namespace

absl::Status RefuseHoles(absl::Span<const std::byte> mapping) {
  // Never closed: there may be mappings till the end.
  static const auto* const fd = new absl::StatusOr<UniqueFd>(OpenForSigbus());
  RETURN_IF_ERROR(fd->status());
  uffdio_register args = {};
  args.range.start = reinterpret_cast<uint64_t>(mapping.data());
  args.range.len = mapping.size();
  args.mode = UFFDIO_REGISTER_MODE_MISSING;
  if (ioctl((*fd)->get(), UFFDIO_REGISTER, &args) != 0) {
    return SysError("UFFDIO_REGISTER");
  }
  return absl::OkStatus();
}

}  // namespace pagelift
