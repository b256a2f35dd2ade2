#include "lib/image/staged_directory.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <memory>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "lib/base/status_macros.h"
#include "lib/base/sys_error.h"
#include "lib/base/write_all.h"

namespace pagelift {
namespace {

constexpr char kStagedPrefix[] = ".partial-";
constexpr size_t kBufferBytes = size_t{1} << 20;

absl::Status Taken(const std::string& path) {
  return absl::AlreadyExistsError(absl::StrCat(
      path, " exists already: name a directory that is to be made"));
}

absl::Status Sync(const std::string& path, int flags) {
  const UniqueFd fd(open(path.c_str(), flags | O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) return SysError("open ", path);
  if (fsync(fd.get()) != 0) return SysError("bring ", path, " to the disk");
  return absl::OkStatus();
}

std::string WithoutSlashes(std::string path) {
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  return path;
}

absl::Status RenameToNewName(const std::string& from, const std::string& to) {
  if (renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(),
                RENAME_NOREPLACE) == 0) {
    return absl::OkStatus();
  }
  if (errno == EEXIST) return Taken(to);
  // A file system that does not know the flag: nothing but an empty directory
  // is replaced.
  if (errno == EINVAL && rename(from.c_str(), to.c_str()) == 0) {
    return absl::OkStatus();
  }
  return SysError("rename ", from, " to ", to);
}

}  // namespace

absl::Status RemoveFolder(const std::string& path) {
  ASSIGN_OR_RETURN(const ImageDirectory directory, ImageDirectory::Open(path));
  ASSIGN_OR_RETURN(const std::vector<std::string> names, directory.List());
  for (const std::string& name : names) {
    if (unlinkat(AT_FDCWD, directory.PathOf(name).c_str(), 0) != 0) {
      return SysError("remove ", directory.PathOf(name));
    }
  }
  // Not rmdir(2): filters of system calls need one call less.
  if (unlinkat(AT_FDCWD, path.c_str(), AT_REMOVEDIR) != 0) {
    return SysError("remove ", path);
  }
  return absl::OkStatus();
}

std::string FolderOf(const std::string& path) {
  const std::string folder =
      std::filesystem::path(WithoutSlashes(path)).parent_path().string();
  return folder.empty() ? "." : folder;
}

absl::StatusOr<StagedDirectory> StagedDirectory::Make(const std::string& path) {
  std::string name = WithoutSlashes(path);
  struct stat ignored;
  if (lstat(name.c_str(), &ignored) == 0) return Taken(name);
  if (errno != ENOENT) return SysError("look for ", name);
  std::string staged =
      absl::StrCat(FolderOf(name), "/", kStagedPrefix,
                   std::filesystem::path(name).filename().string(), ".XXXXXX");
  if (mkdtemp(staged.data()) == nullptr) {
    return SysError("make a directory in ", FolderOf(name));
  }
  return StagedDirectory(std::move(name), std::move(staged));
}

StagedDirectory::~StagedDirectory() {
  if (!staged_.empty()) RemoveFolder(staged_).IgnoreError();
}

absl::StatusOr<UniqueFd> StagedDirectory::CreateFile(
    const std::string& name) const {
  const std::string path = absl::StrCat(staged_, "/", name);
  UniqueFd fd(
      open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!fd.valid()) return SysError("create ", path);
  return fd;
}

absl::Status StagedDirectory::WriteFile(const std::string& name,
                                        absl::string_view contents) const {
  ASSIGN_OR_RETURN(const UniqueFd fd, CreateFile(name));
  return Annotate(WriteAll(fd.get(), contents),
                  absl::StrCat(staged_, "/", name));
}

absl::StatusOr<uint64_t> StagedDirectory::CopyFile(
    const ImageDirectory& from, const std::string& name) const {
  ASSIGN_OR_RETURN(const UniqueFd in, from.OpenFile(name));
  struct stat status;
  if (fstat(in.get(), &status) != 0) return SysError("stat ", name);
  ASSIGN_OR_RETURN(const UniqueFd out, CreateFile(name));
  const auto buffer = std::make_unique<char[]>(kBufferBytes);
  uint64_t copied = 0;
  while (true) {
    const ssize_t n = read(in.get(), buffer.get(), kBufferBytes);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return SysError("read ", from.PathOf(name));
    if (n == 0) break;
    RETURN_IF_ERROR(
        Annotate(WriteAll(out.get(), {buffer.get(), static_cast<size_t>(n)}),
                 absl::StrCat(staged_, "/", name)));
    copied += static_cast<uint64_t>(n);
  }
  if (fchmod(out.get(), status.st_mode & 0777) != 0) {
    return SysError("chmod ", staged_, "/", name);
  }
  return copied;
}

absl::Status StagedDirectory::LinkFile(const std::string& directory,
                                       const std::string& name) const {
  const std::string from = absl::StrCat(directory, "/", name);
  const std::string to = absl::StrCat(staged_, "/", name);
  if (link(from.c_str(), to.c_str()) != 0) {
    return SysError("link ", from, " to ", to);
  }
  return absl::OkStatus();
}

absl::Status StagedDirectory::Publish() {
  ASSIGN_OR_RETURN(const ImageDirectory directory,
                   ImageDirectory::Open(staged_));
  ASSIGN_OR_RETURN(const std::vector<std::string> names, directory.List());
  for (const std::string& name : names) {
    RETURN_IF_ERROR(Sync(directory.PathOf(name), 0));
  }
  RETURN_IF_ERROR(Sync(staged_, O_DIRECTORY));
  RETURN_IF_ERROR(RenameToNewName(staged_, path_));
  staged_.clear();
  return Sync(FolderOf(path_), O_DIRECTORY);
}

absl::StatusOr<int> RemoveStaged(const std::string& directory,
                                 const std::string& prefix) {
  ASSIGN_OR_RETURN(const ImageDirectory opened,
                   ImageDirectory::Open(directory));
  ASSIGN_OR_RETURN(const std::vector<std::string> names, opened.List());
  int removed = 0;
  for (const std::string& name : names) {
    if (!absl::StartsWith(name, absl::StrCat(kStagedPrefix, prefix))) continue;
    RETURN_IF_ERROR(RemoveFolder(opened.PathOf(name)));
    ++removed;
  }
  return removed;
}

}  // namespace pagelift
