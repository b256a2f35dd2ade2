#include "lib/uffd/testing/mapping.h"

#include <sys/mman.h>

#include <cerrno>

#include "lib/base/log.h"

namespace pagelift {

Mapping::Mapping(PageCount count, int protection, int flags, int file) {
  void* at = mmap(nullptr, count.bytes(), protection, flags, file, 0);
  CHECK(at != MAP_FAILED) << "mmap of " << count.raw() << "p, flags " << flags
                          << ": errno " << errno;
  range_ = {PageContaining(reinterpret_cast<uint64_t>(at)), count};
}

Mapping::~Mapping() { munmap(data(), range_.count.bytes()); }

std::byte* Mapping::data(uint64_t index) const {
  return reinterpret_cast<std::byte*>(AddressOf(at(index)));
}

}  // namespace pagelift
