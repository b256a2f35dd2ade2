#include "lib/image/image_directory.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "lib/base/status_macros.h"
#include "lib/base/sys_error.h"

namespace pagelift {
namespace {

constexpr off_t kMostMetadata = off_t{1} << 30;
constexpr size_t kLongestChain = 256;
constexpr int kDirectoryFlags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;

}  // namespace

ImageDirectory::ImageDirectory(std::string path, UniqueFd fd)
    : path_(std::move(path)), fd_(std::move(fd)) {}

absl::StatusOr<ImageDirectory> ImageDirectory::Open(const std::string& path) {
  UniqueFd fd(open(path.c_str(), kDirectoryFlags));
  if (!fd.valid()) return SysError("open the image directory ", path);
  return ImageDirectory(path, std::move(fd));
}

absl::StatusOr<std::optional<ImageDirectory>> ImageDirectory::OpenParent()
    const {
  UniqueFd fd(openat(fd_.get(), "parent", kDirectoryFlags));
  if (fd.valid()) {
    return std::optional(ImageDirectory(PathOf("parent"), std::move(fd)));
  }
  int error = errno;
  struct stat ignored;
  if (error == ENOENT &&
      fstatat(fd_.get(), "parent", &ignored, AT_SYMLINK_NOFOLLOW) != 0) {
    return std::optional<ImageDirectory>();
  }
  return SysErrorOf(error, "open the parent image ", PathOf("parent"));
}

absl::StatusOr<UniqueFd> ImageDirectory::OpenFile(
    const std::string& name) const {
  // O_NONBLOCK: not to wait on a FIFO somebody put there.
  UniqueFd fd(
      openat(fd_.get(), name.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd.valid()) return SysError("open ", PathOf(name));
  struct stat status;
  if (fstat(fd.get(), &status) != 0) return SysError("stat ", PathOf(name));
  if (!S_ISREG(status.st_mode)) {
    return absl::FailedPreconditionError(
        absl::StrCat(PathOf(name), " is not a regular file"));
  }
  return fd;
}

absl::StatusOr<std::string> ImageDirectory::ReadFile(
    const std::string& name) const {
  ASSIGN_OR_RETURN(UniqueFd fd, OpenFile(name));
  struct stat status;
  if (fstat(fd.get(), &status) != 0) return SysError("stat ", PathOf(name));
  if (status.st_size > kMostMetadata) {
    return absl::DataLossError(absl::StrCat(
        PathOf(name), " has ", status.st_size,
        " bytes, more than any image of its kind: it is not a CRIU image"));
  }
  std::string contents(status.st_size, '\0');
  size_t filled = 0;
  while (filled < contents.size()) {
    ssize_t n = read(fd.get(), &contents[filled], contents.size() - filled);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return SysError("read ", PathOf(name));
    if (n == 0) break;
    filled += n;
  }
  contents.resize(filled);
  return contents;
}

bool ImageDirectory::Has(const std::string& name) const {
  return faccessat(fd_.get(), name.c_str(), F_OK, 0) == 0;
}

absl::StatusOr<std::vector<std::string>> ImageDirectory::List() const {
  UniqueFd fd(openat(fd_.get(), ".", kDirectoryFlags));
  if (!fd.valid()) return SysError("open ", path_);
  DIR* stream = fdopendir(fd.get());
  if (stream == nullptr) return SysError("list ", path_);
  (void)fd.release();  // The stream closes it.
  std::vector<std::string> names;
  errno = 0;
  while (const dirent* entry = readdir(stream)) {
    std::string name = entry->d_name;
    if (name != "." && name != "..") names.push_back(std::move(name));
    errno = 0;
  }
  int error = errno;
  closedir(stream);
  if (error != 0) return SysErrorOf(error, "list ", path_);
  std::sort(names.begin(), names.end());
  return names;
}

bool IsOfTheImage(const std::string& name) {
  return !absl::EndsWith(name, ".log") && !absl::EndsWith(name, ".socket") &&
         !absl::EndsWith(name, ".pid") && !absl::StartsWith(name, "stats-") &&
         !absl::StartsWith(name, "pagelift-");
}

bool IsImageFile(const ImageDirectory& directory, const std::string& name) {
  std::error_code ignored;
  const auto type =
      std::filesystem::status(directory.PathOf(name), ignored).type();
  const bool is_file = type == std::filesystem::file_type::regular ||
                       type == std::filesystem::file_type::not_found;
  return is_file && name != "parent" && IsOfTheImage(name);
}

absl::StatusOr<std::vector<ImageDirectory>> OpenImageChain(
    const std::string& path) {
  std::vector<ImageDirectory> chain;
  ASSIGN_OR_RETURN(ImageDirectory top, ImageDirectory::Open(path));
  chain.push_back(std::move(top));
  while (true) {
    ASSIGN_OR_RETURN(std::optional<ImageDirectory> parent,
                     chain.back().OpenParent());
    if (!parent) return chain;
    if (chain.size() == kLongestChain) {
      return absl::FailedPreconditionError(absl::StrCat(
          path, " has more than ", kLongestChain,
          " parent images: does a `parent` link lead in a circle?"));
    }
    chain.push_back(*std::move(parent));
  }
}

}  // namespace pagelift
