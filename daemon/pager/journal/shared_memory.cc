#include "daemon/pager/journal/shared_memory.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <cerrno>

#include "lib/base/log.h"
#include "lib/base/sys_error.h"

namespace pagelift {

SharedMapping::~SharedMapping() {
  if (data_ != nullptr) munmap(data_, size_);
}

absl::StatusOr<SharedMemory> SharedMemory::Create(const char* name,
                                                  size_t size) {
  UniqueFd fd(memfd_create(name, MFD_CLOEXEC));
  if (!fd.valid()) return SysError("memfd_create ", name);
  if (ftruncate(fd.get(), static_cast<off_t>(size)) != 0) {
    const int error = errno;
    return SysErrorOf(error, "make room for ", name,
                      error == EFBIG
                          ? ": nearly all of it is never touched, but a limit "
                            "on the size of files (ulimit -f) forbids it"
                          : "");
  }
  return SharedMemory(std::move(fd), size);
}

absl::StatusOr<SharedMemory> SharedMemory::Adopt(UniqueFd fd) {
  struct stat file;
  if (fstat(fd.get(), &file) != 0) return SysError("fstat ", fd.get());
  return SharedMemory(std::move(fd), static_cast<size_t>(file.st_size));
}

absl::StatusOr<SharedMapping> SharedMemory::Map(size_t offset,
                                                size_t size) const {
  void* const data =
      mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE,
           fd_.get(), static_cast<off_t>(offset));
  if (data == MAP_FAILED) return SysError("mmap of shared memory");
  return SharedMapping(static_cast<std::byte*>(data), size);
}

void SharedMemory::Free(size_t offset, size_t size) const {
  if (fallocate(fd_.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                static_cast<off_t>(offset), static_cast<off_t>(size)) != 0) {
    LOG(Error) << SysError("fallocate of shared memory");
  }
}

}  // namespace pagelift
