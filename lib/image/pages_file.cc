#include "lib/image/pages_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <string>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "lib/base/status_macros.h"
#include "lib/base/sys_error.h"

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

// Where the file is now: what it was opened by may have been a way through
// /proc.
std::string PathOf(int fd) {
  std::error_code error;
  const std::filesystem::path path =
      std::filesystem::read_symlink(absl::StrCat("/proc/self/fd/", fd), error);
  return error ? "a pages file" : path.string();
}

}  // namespace

absl::StatusOr<std::shared_ptr<const PagesFile>> PagesFile::Open(
    const ImageDirectory& directory, uint32_t pages_id, PageCount pages) {
  // Not make_shared: the constructor is private.
  std::shared_ptr<PagesFile> file(new PagesFile);
  std::string name = absl::StrCat("pages-", pages_id, ".img");
  if (pages == PageCount(0) && !directory.Has(name)) return file;
  const std::string path = directory.PathOf(name);
  ASSIGN_OR_RETURN(UniqueFd fd, directory.OpenFile(name));
  struct stat status;
  if (fstat(fd.get(), &status) != 0) return SysError("stat ", path);
  RETURN_IF_ERROR(CheckSize(path, status.st_size, pages));
  if (pages == PageCount(0)) return file;
  RETURN_IF_ERROR(CheckNoHole(path, fd.get(), status.st_size));
  file->fd_ = std::move(fd);
  return file;
}

absl::StatusOr<PageCount> PagesFile::Read(PageCount offset,
                                          absl::Span<std::byte> buffer) const {
  size_t done = 0;
  while (done < buffer.size()) {
    const ssize_t n =
        pread(fd_.get(), buffer.data() + done, buffer.size() - done,
              static_cast<off_t>(offset.bytes() + done));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && done < kPageSize) {
      return absl::DataLossError(absl::StrCat(
          PathOf(fd_.get()), " cannot be read at offset ", offset.bytes(), ": ",
          strerror(errno), ": does its disk fail? Copy the checkpoint again"));
    }
    if (n <= 0) break;
    done += static_cast<size_t>(n);
  }
  const PageCount count(done / kPageSize);
  if (count == PageCount(0)) return Lost(offset.bytes(), PageCount(1)).status;
  return count;
}

void PagesFile::WillNeed(PageCount offset, PageCount count) const {
  // What it cannot do is done by Read().
  posix_fadvise(fd_.get(), static_cast<off_t>(offset.bytes()),
                static_cast<off_t>(count.bytes()), POSIX_FADV_WILLNEED);
}

PagesCheck PagesFile::Check(PageCount first, PageCount count) const {
  const uint64_t offset = first.bytes();
  const PagesCheck intact{count, absl::OkStatus()};
  // The end of the file is a hole to the kernel.
  const off_t hole = lseek(fd_.get(), static_cast<off_t>(offset), SEEK_HOLE);
  // A file system that cannot tell says EINVAL, or that there is none.
  if (hole < 0 && errno != ENXIO) return intact;
  const PageCount before(
      hole < 0 ? 0 : (static_cast<uint64_t>(hole) - offset) / kPageSize);
  if (PageCount(0) < before) return {std::min(count, before), absl::OkStatus()};
  const off_t data = lseek(fd_.get(), static_cast<off_t>(offset), SEEK_DATA);
  if (data < 0) return errno == ENXIO ? Lost(offset, count) : intact;
  const PageCount lost((static_cast<uint64_t>(data) - offset) / kPageSize);
  return Lost(offset, std::clamp(lost, PageCount(1), count));
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
