#include "lib/image/pages_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>
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

}  // namespace

absl::StatusOr<PagesFile> PagesFile::Open(const ImageDirectory& directory,
                                          uint32_t pages_id, PageCount pages) {
  std::string name = absl::StrCat("pages-", pages_id, ".img");
  if (pages == PageCount(0) && !directory.Has(name)) return PagesFile({});
  std::string path = directory.PathOf(name);
  ASSIGN_OR_RETURN(UniqueFd fd, directory.OpenFile(name));
  struct stat status;
  if (fstat(fd.get(), &status) != 0) return SysError("stat ", path);
  RETURN_IF_ERROR(CheckSize(path, status.st_size, pages));
  if (pages == PageCount(0)) return PagesFile({});
  RETURN_IF_ERROR(CheckNoHole(path, fd.get(), status.st_size));
  void* mapped = mmap(nullptr, pages.bytes(), PROT_READ, MAP_SHARED, fd.get(),
                      /*offset=*/0);
  if (mapped == MAP_FAILED) return SysError("map ", path);
  return PagesFile({static_cast<const std::byte*>(mapped), pages.bytes()});
}

PagesFile::~PagesFile() {
  if (bytes_.empty()) return;
  munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size());
}

PagesFile::PagesFile(PagesFile&& other) noexcept
    : bytes_(std::exchange(other.bytes_, {})) {}

PagesFile& PagesFile::operator=(PagesFile&& other) noexcept {
  std::swap(bytes_, other.bytes_);
  return *this;
}

}  // namespace pagelift
