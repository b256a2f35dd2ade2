#include "lib/uffd/testing/guard_pages.h"

#include <sys/mman.h>

#include <cerrno>

#include "lib/base/log.h"

namespace pagelift {
namespace {

constexpr int kGuardInstall = 102;  // MADV_GUARD_INSTALL

void* Pointer(PageId page) { return reinterpret_cast<void*>(AddressOf(page)); }

}  // namespace

void InstallGuard(PageRange range) {
  CHECK(madvise(Pointer(range.first), range.count.bytes(), kGuardInstall) == 0)
      << "MADV_GUARD_INSTALL: errno " << errno;
}

bool IsGuarded(PageId page) {
  return madvise(Pointer(page), kPageSize, MADV_POPULATE_READ) != 0 &&
         errno == EFAULT;
}

}  // namespace pagelift
