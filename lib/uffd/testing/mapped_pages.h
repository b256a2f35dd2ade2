#ifndef PAGELIFT_LIB_UFFD_TESTING_MAPPED_PAGES_H_
#define PAGELIFT_LIB_UFFD_TESTING_MAPPED_PAGES_H_

#include <cstddef>
#include <cstdint>

#include "lib/base/unique_fd.h"
#include "lib/memory/page.h"
#include "lib/uffd/userfault_fd.h"

namespace pagelift {

// A huge page of the usual size, 2 MiB.
inline constexpr PageCount kHugePage = PageCount(512);

// Memory of this process that was never touched, for a test to be the target
// with. Between pages that nobody can read, so that no neighbour joins it.
//
// Thread-compatible.
class MappedPages {
 public:
  enum class Backing { kPrivate, kSharedFile };

  // Not registered.
  explicit MappedPages(PageCount count, Backing backing = Backing::kPrivate);
  // Registered with `uffd`, which must outlive this and must not be moved.
  MappedPages(const UserfaultFd& uffd, PageCount count,
              FaultKinds kinds = FaultKind::kMissing,
              Backing backing = Backing::kPrivate);
  // Unregisters and raises no event. The address space stays in use, so that a
  // test is free to unmap, move and replace what is in it.
  ~MappedPages();
  MappedPages(const MappedPages&) = delete;
  MappedPages& operator=(const MappedPages&) = delete;

  PageRange range() const { return range_; }
  PageRange range(uint64_t first, uint64_t count) const {
    return {at(first), PageCount(count)};
  }
  PageId at(uint64_t index) const { return range_.first + PageCount(index); }
  std::byte* data(uint64_t index = 0) const;
  // The index of the first page on which a huge page may start. Twice a huge
  // page is room enough for one.
  uint64_t FirstHugePage() const;

  // Whether the page is mapped, without touching it.
  bool IsPresent(uint64_t index) const;
  // Whether its next write would be reported.
  bool IsWriteProtected(uint64_t index) const;

  int file() const { return file_.get(); }  // Of Backing::kSharedFile.

 private:
  uint64_t PagemapEntry(uint64_t index) const;

  UniqueFd file_;
  const UserfaultFd* uffd_ = nullptr;
  PageRange range_;
};

}  // namespace pagelift

#endif  // PAGELIFT_LIB_UFFD_TESTING_MAPPED_PAGES_H_
