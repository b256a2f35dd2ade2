#include "lib/image/shipped_files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <system_error>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "lib/base/status_macros.h"
#include "lib/base/sys_error.h"

namespace pagelift {
namespace {

constexpr size_t kPiece = size_t{1} << 20;

std::string PathOf(const std::string& directory, const std::string& name) {
  return absl::StrCat(directory, "/", name);
}

// Fills `into` unless the file ends before.
absl::StatusOr<size_t> ReadAll(int fd, absl::Span<std::byte> into) {
  size_t filled = 0;
  while (filled < into.size()) {
    const ssize_t n = read(fd, into.data() + filled, into.size() - filled);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return SysError("read");
    if (n == 0) break;
    filled += static_cast<size_t>(n);
  }
  return filled;
}

absl::StatusOr<UniqueFd> OpenRegular(const std::string& path) {
  UniqueFd fd(
      open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  struct stat info;
  if (!fd.valid() || fstat(fd.get(), &info) != 0) {
    return SysError("open ", path);
  }
  if (!S_ISREG(info.st_mode)) {
    return absl::FailedPreconditionError(
        absl::StrCat(path, " is not a regular file"));
  }
  return fd;
}

absl::StatusOr<ShippedFile> Describe(const std::string& directory,
                                     std::string name) {
  ShippedFile file;
  file.name = std::move(name);
  ASSIGN_OR_RETURN(const UniqueFd fd,
                   OpenRegular(PathOf(directory, file.name)));
  struct stat info;
  if (fstat(fd.get(), &info) != 0) return SysError("stat ", file.name);
  // Most are small.
  std::vector<std::byte> piece(
      std::min(kPiece, static_cast<size_t>(info.st_size) + 1));
  Xxh3 digest;
  while (true) {
    ASSIGN_OR_RETURN(const size_t n, ReadAll(fd.get(), absl::MakeSpan(piece)));
    if (n == 0) break;
    digest.Add(ByteSpan(piece.data(), n));
    file.size += n;
  }
  file.digest = digest.Get();
  return file;
}

}  // namespace

absl::StatusOr<std::vector<ShippedFile>> FilesToShip(
    const std::string& directory) {
  std::error_code error;
  std::vector<std::string> names;
  for (std::filesystem::directory_iterator it(directory, error), end;
       !error && it != end; it.increment(error)) {
    std::string name = it->path().filename();
    // CRIU itself makes nothing but files; `parent`, a link, has no such name.
    if (absl::EndsWith(name, ".img")) names.push_back(std::move(name));
  }
  if (error) return SysErrorOf(error.value(), "list ", directory);
  std::sort(names.begin(), names.end());
  std::vector<ShippedFile> files;
  for (std::string& name : names) {
    ASSIGN_OR_RETURN(ShippedFile file, Describe(directory, std::move(name)));
    files.push_back(std::move(file));
  }
  return files;
}

absl::StatusOr<ShippedFileReader> ShippedFileReader::Open(
    const std::string& directory, ShippedFile file) {
  ASSIGN_OR_RETURN(UniqueFd fd, OpenRegular(PathOf(directory, file.name)));
  return ShippedFileReader(std::move(fd), std::move(file));
}

absl::StatusOr<size_t> ShippedFileReader::Read(absl::Span<std::byte> piece) {
  ASSIGN_OR_RETURN(const size_t n, ReadAll(fd_.get(), piece));
  digest_.Add(ByteSpan(piece.data(), n));
  read_ += n;
  if (read_ > file_.size) return Changed();
  const bool over = n < piece.size();
  if (over && (read_ < file_.size || digest_.Get() != file_.digest)) {
    return Changed();
  }
  return n;
}

absl::Status ShippedFileReader::Changed() const {
  return absl::DataLossError(
      absl::StrCat(file_.name, " was changed since it was first read"));
}

}  // namespace pagelift
