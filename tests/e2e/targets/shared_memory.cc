#include "tests/e2e/targets/shared_memory.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace pagelift::e2e {
namespace {

[[noreturn]] void Die(const char* what) {
  std::perror(what);
  std::abort();
}

std::byte* Map(size_t bytes, int flags, int fd) {
  void* base = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, flags, fd, 0);
  if (base == MAP_FAILED) Die("mmap");
  return static_cast<std::byte*>(base);
}

}  // namespace

SharedMemory::SharedMemory(size_t pages, uint64_t seed)
    : bytes_(pages * kPageBytes) {
  regions_.emplace_back("shared_anonymous",
                        Map(bytes_, MAP_SHARED | MAP_ANONYMOUS, -1), pages,
                        seed);
  // Stays open: CRIU restores the descriptor as well.
  const int fd = memfd_create("pages", MFD_CLOEXEC);
  if (fd < 0 || ftruncate(fd, static_cast<off_t>(2 * bytes_)) != 0) {
    Die("memfd");
  }
  std::byte* first = Map(2 * bytes_, MAP_SHARED, fd);
  first_ = first;
  second_ = Map(2 * bytes_, MAP_SHARED, fd);
  regions_.emplace_back("memfd", first, pages, seed);
  // Of the other half of the file, which has zeros that show where nothing was
  // written.
  void* copied = mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd,
                      static_cast<off_t>(bytes_));
  if (copied == MAP_FAILED) Die("mmap");
  regions_.emplace_back("memfd_private", static_cast<std::byte*>(copied), pages,
                        seed);
  for (PatternedRegion& region : regions_) {
    for (size_t index = 0; index < pages; ++index) {
      if (index % 4 != 3) region.Rewrite(index);
    }
  }
}

bool SharedMemory::MappingsAgree() const {
  return std::memcmp(first_, second_, 2 * bytes_) == 0;
}

}  // namespace pagelift::e2e
