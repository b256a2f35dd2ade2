#include "lib/uffd/fd_info.h"

#include <fcntl.h>
#include <unistd.h>

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "lib/base/status_macros.h"
#include "lib/base/sys_error.h"
#include "lib/base/unique_fd.h"
#include "lib/uffd/uffd_abi.h"

namespace pagelift {
namespace {

// Not /proc/self: that has no descriptors once the first thread has ended.
std::string PathOf(absl::string_view folder, int fd) {
  return absl::StrCat("/proc/thread-self/", folder, "/", fd);
}

absl::Status CheckIsUserfaultFd(int fd) {
  constexpr absl::string_view kTarget = "anon_inode:[userfaultfd]";
  char target[256];
  ssize_t length = readlink(PathOf("fd", fd).c_str(), target, sizeof(target));
  if (length < 0) return SysError("readlink ", PathOf("fd", fd));
  absl::string_view found(target, static_cast<size_t>(length));
  if (found != kTarget) {
    return absl::InvalidArgumentError(
        absl::StrCat("descriptor ", fd, " is not a userfaultfd but ", found));
  }
  return absl::OkStatus();
}

// "aa:8000004e:1ffff": version, features in use, features there are.
bool ParseApi(absl::string_view value, UserfaultFdInfo& info) {
  std::vector<absl::string_view> parts = absl::StrSplit(value, ':');
  uint64_t version = 0;
  uint64_t features = 0;
  if (parts.size() != 3 || !absl::SimpleHexAtoi(parts[0], &version) ||
      !absl::SimpleHexAtoi(parts[1], &features) || version != UFFD_API) {
    return false;
  }
  info.handshake_done = (features & abi::kInitialized) != 0;
  info.features = FeatureSet::FromBits(features & ~abi::kInitialized);
  return true;
}

}  // namespace

absl::StatusOr<UserfaultFdInfo> ParseFdInfo(std::string_view text) {
  UserfaultFdInfo info;
  bool has_unread = false;
  bool has_waiting = false;
  bool has_api = false;
  for (absl::string_view line :
       absl::StrSplit(absl::string_view(text.data(), text.size()), '\n')) {
    if (absl::ConsumePrefix(&line, "pending:\t")) {
      has_unread = absl::SimpleAtoi(line, &info.unread_faults);
    } else if (absl::ConsumePrefix(&line, "total:\t")) {
      has_waiting = absl::SimpleAtoi(line, &info.waiting_faults);
    } else if (absl::ConsumePrefix(&line, "API:\t")) {
      has_api = ParseApi(line, info);
    }
  }
  if (!has_unread || !has_waiting || !has_api) {
    return absl::InvalidArgumentError(
        "fdinfo does not read like that of a userfaultfd");
  }
  return info;
}

absl::StatusOr<UserfaultFdInfo> ReadFdInfo(int fd) {
  RETURN_IF_ERROR(CheckIsUserfaultFd(fd));
  const std::string path = PathOf("fdinfo", fd);
  UniqueFd file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.valid()) return SysError("open ", path);
  char text[1024];
  ssize_t length = read(file.get(), text, sizeof(text));
  if (length < 0) return SysError("read ", path);
  return ParseFdInfo(std::string_view(text, static_cast<size_t>(length)));
}

}  // namespace pagelift
