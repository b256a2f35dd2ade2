#include "lib/process/unix_address.h"

#include <fcntl.h>

#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "lib/base/sys_error.h"

namespace pagelift {
namespace {

bool Fits(const std::string& path) {
  return path.size() < sizeof(sockaddr_un::sun_path);
}

}  // namespace

UnixAddress::UnixAddress(const std::string& path, UniqueFd directory)
    : directory_(std::move(directory)) {
  address_.sun_family = AF_UNIX;
  std::memcpy(address_.sun_path, path.data(), path.size());
}

absl::StatusOr<UnixAddress> UnixAddress::Of(const std::string& path) {
  if (path.empty() || path.find('\0') != std::string::npos) {
    return absl::InvalidArgumentError("not a path for a socket");
  }
  if (Fits(path)) return UnixAddress(path, UniqueFd());

  const size_t slash = path.rfind('/');
  const std::string folder =
      slash == std::string::npos ? "." : path.substr(0, slash + 1);
  const std::string name =
      slash == std::string::npos ? path : path.substr(slash + 1);
  UniqueFd directory(open(folder.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!directory.valid()) return SysError("open ", folder);
  const std::string detour =
      absl::StrCat("/proc/self/fd/", directory.get(), "/", name);
  if (name.empty() || !Fits(detour)) {
    return absl::InvalidArgumentError(
        absl::StrCat("no name for a socket, or too long a one: ", path));
  }
  return UnixAddress(detour, std::move(directory));
}

}  // namespace pagelift
