#include "daemon/migration/receiver/image_intake.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <system_error>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "lib/base/open_directory.h"
#include "lib/base/status_macros.h"
#include "lib/base/sys_error.h"
#include "lib/base/write_all.h"

namespace pagelift {
namespace {

constexpr char kImages[] = "images";
constexpr char kNew[] = "images.new";
constexpr char kOld[] = "images.old";
constexpr size_t kLongestName = 200;  // CRIU's have some thirty characters.

absl::Status Refused(absl::string_view why) {
  return absl::InvalidArgumentError(absl::StrCat("images that came: ", why));
}

// Letters, digits, and what stands between them in a name of CRIU's. So it can
// also be said in a message.
bool IsFlatName(absl::string_view name) {
  const auto is_plain = [](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '.' ||
           c == '-' || c == '_';
  };
  return !name.empty() && name.size() <= kLongestName && name[0] != '.' &&
         std::all_of(name.begin(), name.end(), is_plain);
}

UniqueFd OpenDirectoryAt(int parent, const char* name) {
  return UniqueFd(
      openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
}

// Whatever it is. What a link points to is left alone.
absl::Status RemoveTree(int parent, const char* name) {
  std::error_code error;
  std::filesystem::remove_all(absl::StrCat("/proc/self/fd/", parent, "/", name),
                              error);
  if (error) return SysErrorOf(error.value(), "remove ", name);
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<ImageIntake> ImageIntake::Begin(const std::string& parent,
                                               size_t file_count,
                                               Limits limits) {
  if (file_count == 0 || file_count > limits.files) {
    return Refused(
        absl::StrCat(file_count, " files, of at most ", limits.files));
  }
  UniqueFd parent_fd = OpenDirectoryAt(AT_FDCWD, parent.c_str());
  if (!parent_fd.valid()) return SysError("open ", parent);
  RETURN_IF_ERROR(RemoveTree(parent_fd.get(), kNew));
  if (mkdirat(parent_fd.get(), kNew, 0700) != 0)
    return SysError("mkdir ", kNew);
  UniqueFd directory = OpenDirectoryAt(parent_fd.get(), kNew);
  if (!directory.valid()) return SysError("open ", kNew);
  return ImageIntake(std::move(parent_fd), std::move(directory), file_count,
                     limits);
}

absl::Status ImageIntake::CheckNew(const ShippedFile& file) const {
  if (!IsFlatName(file.name)) return Refused("a file with such a name");
  if (names_.size() == file_count_) {
    return Refused(absl::StrCat("more than the ", file_count_, " files"));
  }
  if (names_.contains(file.name)) {
    return Refused(absl::StrCat(file.name, " comes twice"));
  }
  if (file.size > limits_.bytes - announced_) {
    return Refused(absl::StrCat("more than ", limits_.bytes, " bytes in all"));
  }
  return absl::OkStatus();
}

absl::Status ImageIntake::BeginFile(const ShippedFile& file) {
  RETURN_IF_ERROR(EndFile());
  RETURN_IF_ERROR(CheckNew(file));
  names_.insert(file.name);
  announced_ += file.size;
  file_ = file;
  received_ = 0;
  digest_ = Xxh3();
  fd_.reset(openat(directory_.get(), file.name.c_str(),
                   O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!fd_.valid()) return SysError("make ", file.name);
  return absl::OkStatus();
}

absl::Status ImageIntake::Add(ByteSpan contents) {
  if (!fd_.valid()) return Refused("contents of no file");
  if (contents.size() > file_.size - received_) {
    return Refused(absl::StrCat(file_.name, " is longer than was said"));
  }
  RETURN_IF_ERROR(Annotate(WriteAll(fd_.get(), contents), file_.name));
  received_ += contents.size();
  digest_.Add(contents);
  return absl::OkStatus();
}

absl::Status ImageIntake::EndFile() {
  if (!fd_.valid()) return absl::OkStatus();
  if (received_ < file_.size) {
    return Refused(absl::StrCat(file_.name, " is shorter than was said"));
  }
  if (digest_.Get() != file_.digest) {
    return absl::DataLossError(
        absl::StrCat(file_.name, " was damaged on its way"));
  }
  fd_.reset();
  return absl::OkStatus();
}

absl::Status ImageIntake::Publish() {
  RETURN_IF_ERROR(EndFile());
  if (names_.size() != file_count_) {
    return Refused(
        absl::StrCat(names_.size(), " files instead of ", file_count_));
  }
  // Renamed before it is removed: `images` is never some of its files.
  const int parent = parent_.get();
  RETURN_IF_ERROR(RemoveTree(parent, kOld));
  if (renameat(parent, kImages, parent, kOld) != 0 && errno != ENOENT) {
    return SysError("rename ", kImages);
  }
  if (renameat(parent, kNew, parent, kImages) != 0) {
    return SysError("rename ", kNew);
  }
  return RemoveTree(parent, kOld);
}

absl::Status SyncImages(const std::string& parent) {
  ASSIGN_OR_RETURN(const UniqueFd parent_fd, OpenDirectory(parent));
  const UniqueFd images = OpenDirectoryAt(parent_fd.get(), kImages);
  if (!images.valid()) return SysError("open ", parent, "/", kImages);
  const std::string path = absl::StrCat(parent, "/", kImages);
  // All are on their way to the disk before one is waited for.
  for (const bool wait : {false, true}) {
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator(path, error)) {
      const std::string name = entry.path().filename().string();
      const UniqueFd file(openat(images.get(), name.c_str(),
                                 O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
      if (!file.valid()) return SysError("open ", name);
      if (!wait) {
        sync_file_range(file.get(), 0, 0, SYNC_FILE_RANGE_WRITE);
      } else if (fsync(file.get()) != 0) {
        return SysError("fsync ", name);
      }
    }
    if (error) return SysErrorOf(error.value(), "read ", parent);
  }
  for (int fd : {images.get(), parent_fd.get()}) {
    if (fsync(fd) != 0) return SysError("fsync ", parent);
  }
  return absl::OkStatus();
}

}  // namespace pagelift
