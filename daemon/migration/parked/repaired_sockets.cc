#include "daemon/migration/parked/repaired_sockets.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <filesystem>
#include <string>
#include <system_error>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "lib/base/sys_error.h"
#include "lib/base/unique_fd.h"

namespace pagelift {
namespace {

absl::Status EndRepair(int socket) {
  int repair = 0;
  socklen_t length = sizeof(repair);
  // Of another protocol: there is no such option.
  if (getsockopt(socket, IPPROTO_TCP, TCP_REPAIR, &repair, &length) != 0 ||
      repair == 0) {
    return absl::OkStatus();
  }
  repair = 0;
  if (setsockopt(socket, IPPROTO_TCP, TCP_REPAIR, &repair, sizeof(repair)) !=
      0) {
    return SysError("end the repair of a socket");
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status EndRepairOfSockets(const PidFd& process) {
  absl::Status first_error;
  std::error_code error;
  std::filesystem::directory_iterator descriptors(
      absl::StrCat("/proc/", process.pid(), "/fd"), error);
  if (process.HasExited()) {
    return absl::NotFoundError(
        absl::StrCat("process ", process.pid(), " has ended"));
  }
  if (error) {
    return SysErrorOf(error.value(), "list the descriptors of process ",
                      process.pid());
  }
  for (const auto& entry : descriptors) {
    struct stat info;
    int number = -1;
    if (stat(entry.path().c_str(), &info) != 0 || !S_ISSOCK(info.st_mode) ||
        !absl::SimpleAtoi(entry.path().filename().string(), &number)) {
      continue;
    }
    const UniqueFd socket(
        static_cast<int>(syscall(SYS_pidfd_getfd, process.fd(), number, 0)));
    first_error.Update(socket.valid() ? EndRepair(socket.get())
                                      : SysError("take a socket"));
  }
  return first_error;
}

}  // namespace pagelift
