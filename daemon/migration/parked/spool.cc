#include "daemon/migration/parked/spool.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "lib/base/log.h"
#include "lib/base/open_directory.h"
#include "lib/base/status_macros.h"
#include "lib/base/sys_error.h"
#include "lib/base/xxh3.h"
#include "lib/image/page_seal.h"
#include "lib/memory/zero_pages.h"

namespace pagelift {
namespace {

constexpr char kMemoryName[] = "pagelift-spool";
constexpr PageCount kPiece(256);

uint64_t DigestOfZeros() {
  static const uint64_t digest = Xxh3::Of(std::array<std::byte, kPageSize>());
  return digest;
}

// Reads all of `bytes`; an end of the file before is an error.
absl::Status ReadAll(int fd, absl::Span<std::byte> bytes, uint64_t offset,
                     absl::string_view path) {
  while (!bytes.empty()) {
    const ssize_t n =
        pread(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) {
      const absl::Status why = n < 0 ? SysError("pread") : absl::OkStatus();
      return absl::DataLossError(absl::StrCat(
          path, " at ", offset, ": ", n < 0 ? why.message() : "it is cut off"));
    }
    bytes.remove_prefix(static_cast<size_t>(n));
    offset += static_cast<uint64_t>(n);
  }
  return absl::OkStatus();
}

std::string PathIn(const std::string& directory) {
  return absl::StrCat(directory, "/", Spool::kName);
}

}  // namespace

Spool::Spool(UniqueFd fd, std::string path, const ImageDescription& description)
    : fd_(std::move(fd)),
      path_(std::move(path)),
      content_id_(description.content_id),
      page_count_(description.page_count) {}

absl::StatusOr<std::unique_ptr<Spool>> Spool::MakeInMemory(
    const ImageDescription& description) {
  UniqueFd fd(memfd_create(kMemoryName, MFD_CLOEXEC));
  if (!fd.valid()) return SysError("memfd_create");
  // Not make_unique: the constructor is private.
  std::unique_ptr<Spool> spool(
      new Spool(std::move(fd), "the spool in memory", description));
  if (ftruncate(spool->fd(),
                static_cast<off_t>(description.page_count.bytes())) != 0) {
    return SysError("set the size of ", spool->path_);
  }
  return spool;
}

absl::StatusOr<std::unique_ptr<Spool>> Spool::MakeInFile(
    const std::string& directory, const ImageDescription& description) {
  ASSIGN_OR_RETURN(UniqueFd folder, OpenDirectory(directory));
  if (unlinkat(folder.get(), kName, 0) != 0 && errno != ENOENT) {
    return SysError("remove ", PathIn(directory));
  }
  UniqueFd fd(
      openat(folder.get(), kName, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!fd.valid()) return SysError("make ", PathIn(directory));
  std::unique_ptr<Spool> spool(
      new Spool(std::move(fd), PathIn(directory), description));
  if (ftruncate(spool->fd(),
                static_cast<off_t>(description.page_count.bytes())) != 0) {
    return SysError("set the size of ", spool->path_);
  }
  spool->directory_ = std::move(folder);
  return spool;
}

absl::StatusOr<std::unique_ptr<Spool>> Spool::OpenFile(
    const std::string& directory, const ImageDescription& description) {
  const std::string path = PathIn(directory);
  UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!fd.valid()) return SysError("open ", path);
  return Sealed(fd, path, description);
}

absl::StatusOr<std::unique_ptr<Spool>> Spool::Adopt(
    int fd, const ImageDescription& description) {
  std::error_code none;
  const std::string path =
      std::filesystem::read_symlink(absl::StrCat("/proc/self/fd/", fd), none);
  if (!absl::StartsWith(path, absl::StrCat("/memfd:", kMemoryName))) {
    return absl::NotFoundError(
        absl::StrCat("descriptor ", fd, " is not a spool in memory"));
  }
  UniqueFd adopted(fd);
  absl::StatusOr<std::unique_ptr<Spool>> spool =
      Sealed(adopted, "the spool in memory", description);
  if (!spool.ok()) (void)adopted.release();
  return spool;
}

absl::StatusOr<std::unique_ptr<Spool>> Spool::Sealed(
    UniqueFd& fd, std::string path, const ImageDescription& description) {
  struct stat info;
  if (fstat(fd.get(), &info) != 0) return SysError("fstat ", path);
  const uint64_t size = static_cast<uint64_t>(info.st_size);
  const uint64_t pages = description.page_count.bytes();
  if (size <= pages) {
    return absl::NotFoundError(absl::StrCat(path, " is not complete"));
  }
  // No longer than the seal of so many pages, whatever the file says.
  const uint64_t seal_size =
      std::min(size - pages,
               uint64_t{PageSeal::Encode(description.content_id, {}).size()} +
                   description.page_count.raw() * sizeof(uint64_t));
  std::string bytes(seal_size, '\0');
  RETURN_IF_ERROR(ReadAll(
      fd.get(),
      absl::MakeSpan(reinterpret_cast<std::byte*>(bytes.data()), bytes.size()),
      pages, path));
  absl::StatusOr<PageSeal> seal =
      PageSeal::Decode(bytes, description.content_id, description.page_count);
  if (!seal.ok()) {
    return Annotate(seal.status(), absl::StrCat("the digests of ", path));
  }
  std::unique_ptr<Spool> spool(
      new Spool(std::move(fd), std::move(path), description));
  spool->digests_ = seal->digests();
  spool->has_ = description.page_count.raw();
  spool->complete_ = true;
  return spool;
}

absl::Status Spool::WriteAll(ByteSpan bytes, uint64_t offset) const {
  while (!bytes.empty()) {
    const ssize_t n = pwrite(fd_.get(), bytes.data(), bytes.size(),
                             static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      absl::Status error = SysError("write ", path_);
      if (!absl::IsResourceExhausted(error)) return error;
      return absl::ResourceExhaustedError(absl::StrCat(
          error.message(), ": it needs up to ",
          (page_count_ - has()).bytes() + page_count_.raw() * sizeof(uint64_t),
          " bytes more"));
    }
    bytes.remove_prefix(static_cast<size_t>(n));
    offset += static_cast<uint64_t>(n);
  }
  return absl::OkStatus();
}

absl::Status Spool::Append(ByteSpan pages) {
  PageCount next = has();
  CHECK(!(page_count_ < next + PageCount(pages.size() / kPageSize)));
  // Not when it is made: a process stands still then. Nobody looks before has_.
  if (digests_.empty()) digests_.resize(page_count_.raw());
  while (!pages.empty()) {
    const ZeroRun run = FirstRun(pages);
    if (!run.zero) {
      RETURN_IF_ERROR(WriteAll(pages.first(run.count.bytes()), next.bytes()));
    }
    for (uint64_t i = 0; i < run.count.raw(); ++i) {
      digests_[next.raw() + i] =
          run.zero ? DigestOfZeros()
                   : Xxh3::Of(pages.subspan(PageCount(i).bytes(), kPageSize));
    }
    next = next + run.count;
    pages.remove_prefix(run.count.bytes());
  }
  has_ = next.raw();  // Readers look at the digests only now.
  return absl::OkStatus();
}

absl::Status Spool::VerifyAll(absl::FunctionRef<bool()> stop) const {
  std::vector<std::byte> buffer(kPiece.bytes());
  PageCount done;
  while (done < page_count_) {
    if (stop()) return absl::CancelledError("the spool is not verified");
    const ImagePage first(done.raw());
    ASSIGN_OR_RETURN(const PageCount read,
                     Read({first, page_count_ - done}, absl::MakeSpan(buffer)));
    const PageCount unchanged =
        Unchanged(first, ByteSpan(buffer).first(read.bytes()));
    if (unchanged < read) {
      return absl::DataLossError(absl::StrCat(
          "page ", (first + unchanged).raw(), " of ", path_,
          " is not what was written: does the disk, or the memory, fail?"));
    }
    done = done + read;
  }
  return absl::OkStatus();
}

absl::Status Spool::Complete(absl::FunctionRef<bool()> stop) {
  CHECK(has() == page_count_);
  if (fdatasync(fd_.get()) != 0) return SysError("fdatasync ", path_);
  // What is read back is to come from the disk.
  posix_fadvise(fd_.get(), 0, 0, POSIX_FADV_DONTNEED);
  RETURN_IF_ERROR(VerifyAll(stop));
  RETURN_IF_ERROR(WriteAll(BytesOf(PageSeal::Encode(content_id_, digests_)),
                           page_count_.bytes()));
  if (fsync(fd_.get()) != 0) return SysError("fsync ", path_);
  if (directory_.valid() && fsync(directory_.get()) != 0) {
    return SysError("fsync the directory of ", path_);
  }
  complete_ = true;
  return absl::OkStatus();
}

absl::StatusOr<PageCount> Spool::Read(ImageRange range,
                                      absl::Span<std::byte> buffer) const {
  const PageCount count =
      std::min(range.count, PageCount(buffer.size() / kPageSize));
  RETURN_IF_ERROR(ReadAll(fd_.get(), buffer.first(count.bytes()),
                          PageCount(range.first.raw()).bytes(), path_));
  return count;
}

PageCount Spool::Unchanged(ImagePage first, ByteSpan pages) const {
  PageCount count;
  for (; !pages.empty(); pages.remove_prefix(kPageSize)) {
    const uint64_t digest = Xxh3::Of(pages.first(kPageSize));
    if (digest != digests_[(first + count).raw()]) break;
    count = count + PageCount(1);
  }
  return count;
}

PageCount Spool::Zeros(ImageRange range) const {
  PageCount count;
  while (count < range.count &&
         digests_[(range.first + count).raw()] == DigestOfZeros()) {
    count = count + PageCount(1);
  }
  return count;
}

void Spool::WillNeed(ImageRange range) const {
  posix_fadvise(fd_.get(),
                static_cast<off_t>(PageCount(range.first.raw()).bytes()),
                static_cast<off_t>(range.count.bytes()), POSIX_FADV_WILLNEED);
}

}  // namespace pagelift
