#include "lib/image/pages_file.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <string>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "lib/base/status_macros.h"
#include "lib/base/sys_error.h"
#include "lib/uffd/refuse_holes.h"

namespace pagelift {
namespace {

absl::Status CheckSize(const std::string& path, uint64_t size,
                       PageCount pages) {
  if (size == pages.bytes()) return absl::OkStatus();
  return absl::DataLossError(absl::StrCat(
      path, " has ", size, " bytes, but its pagemap describes ", pages.raw(),
      " pages, ", pages.bytes(), " bytes: ",
      size < pages.bytes()
          ? "the copy is incomplete; copy the checkpoint again"
          : "it belongs to another checkpoint, or its pages are compressed"));
}

absl::Status CheckNoHole(const std::string& path, int fd, uint64_t size) {
  off_t hole = lseek(fd, 0, SEEK_HOLE);
  // A file system that cannot tell says there is none, or EINVAL.
  if (hole < 0 || static_cast<uint64_t>(hole) >= size) return absl::OkStatus();
  return absl::DataLossError(absl::StrCat(
      path, " has a hole at offset ", hole,
      ": pages were taken out of it by deduplication (criu dedup or "
      "--auto-dedup), and would read as zeros. Use the checkpoint as it was "
      "dumped; if only the copy was made sparse, copy it again without"));
}

// Whether reading a hole that is made later raises SIGBUS. That is needed where
// it would fill the hole, which is on tmpfs.
absl::StatusOr<bool> TryToRefuseHoles(const std::string& path, int fd,
                                      absl::Span<const std::byte> mapping) {
  const absl::Status refused = RefuseHoles(mapping);
  if (refused.ok()) return true;
  struct statfs system;
  if (fstatfs(fd, &system) != 0) return SysError("statfs ", path);
  if (system.f_type != TMPFS_MAGIC) return false;
  return absl::FailedPreconditionError(absl::StrCat(
      path,
      " is on tmpfs, where a hole that is made in it while it is served "
      "is noticed by userfaultfd(2) only: ",
      refused.message(),
      "; allow it in the container's seccomp profile, or copy the checkpoint "
      "to a disk"));
}

// Where the file is now: what it was opened by may have been a way through
// /proc.
std::string PathOf(int fd) {
  std::error_code error;
  const std::filesystem::path path =
      std::filesystem::read_symlink(absl::StrCat("/proc/self/fd/", fd), error);
  return error ? "a pages file" : path.string();
}

}  // namespace

absl::StatusOr<PagesFile> PagesFile::Open(const ImageDirectory& directory,
                                          uint32_t pages_id, PageCount pages) {
  std::string name = absl::StrCat("pages-", pages_id, ".img");
  if (pages == PageCount(0) && !directory.Has(name)) return PagesFile();
  const std::string path = directory.PathOf(name);
  ASSIGN_OR_RETURN(UniqueFd fd, directory.OpenFile(name));
  struct stat status;
  if (fstat(fd.get(), &status) != 0) return SysError("stat ", path);
  RETURN_IF_ERROR(CheckSize(path, status.st_size, pages));
  if (pages == PageCount(0)) return PagesFile();
  RETURN_IF_ERROR(CheckNoHole(path, fd.get(), status.st_size));
  void* mapped = mmap(nullptr, pages.bytes(), PROT_READ, MAP_PRIVATE, fd.get(),
                      /*offset=*/0);
  if (mapped == MAP_FAILED) return SysError("map ", path);
  PagesFile file;
  file.bytes_ = {static_cast<const std::byte*>(mapped), pages.bytes()};
  ASSIGN_OR_RETURN(file.refuses_holes_,
                   TryToRefuseHoles(path, fd.get(), file.bytes_));
  file.fd_ = std::move(fd);
  return file;
}

PagesFile::~PagesFile() {
  if (bytes_.empty()) return;
  munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size());
}

PagesFile::PagesFile(PagesFile&& other) noexcept
    : bytes_(std::exchange(other.bytes_, {})),
      fd_(std::move(other.fd_)),
      refuses_holes_(other.refuses_holes_) {}

PagesFile& PagesFile::operator=(PagesFile&& other) noexcept {
  std::swap(bytes_, other.bytes_);
  std::swap(fd_, other.fd_);
  std::swap(refuses_holes_, other.refuses_holes_);
  return *this;
}

PagesCheck PagesFile::Check(absl::Span<const std::byte> pages) const {
  const uint64_t offset = pages.data() - bytes_.data();
  const PageCount count(std::min(pages.size(), bytes_.size() - offset) /
                        kPageSize);
  const PagesCheck intact{count, absl::OkStatus()};
  if (!refuses_holes_) {
    // The end of the file is a hole to the kernel.
    const off_t hole = lseek(fd_.get(), offset, SEEK_HOLE);
    // A file system that cannot tell says EINVAL, or that there is none.
    if (hole < 0 && errno != ENXIO) return intact;
    const PageCount before(hole < 0 ? 0 : (hole - offset) / kPageSize);
    if (PageCount(0) < before) {
      return {std::min(count, before), absl::OkStatus()};
    }
  }
  const off_t data = lseek(fd_.get(), offset, SEEK_DATA);
  if (data < 0) return errno == ENXIO ? Lost(offset, count) : intact;
  const PageCount before((data - offset) / kPageSize);
  if (refuses_holes_ && before == PageCount(0)) return intact;
  return Lost(offset, std::clamp(before, PageCount(1), count));
}

PagesCheck PagesFile::Lost(uint64_t offset, PageCount count) const {
  const std::string path = PathOf(fd_.get());
  struct stat status;
  if (fstat(fd_.get(), &status) == 0 &&
      static_cast<uint64_t>(status.st_size) <= offset) {
    return {count, absl::DataLossError(absl::StrCat(
                       path, " was truncated to ", status.st_size,
                       " bytes while it was served, and the page at offset ",
                       offset, " is lost: copy the checkpoint again"))};
  }
  return {count,
          absl::DataLossError(absl::StrCat(
              path, " has a hole at offset ", offset,
              " now: the page was taken out of it while it was served. "
              "Restore from another copy of the checkpoint, and do not run "
              "`criu dedup` on a checkpoint that is being served"))};
}

}  // namespace pagelift
