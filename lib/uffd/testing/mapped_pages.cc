#include "lib/uffd/testing/mapped_pages.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>

#include "lib/base/log.h"

namespace pagelift {
namespace {

constexpr uint64_t kPresentBit = uint64_t{1} << 63;
constexpr uint64_t kWriteProtectedBit = uint64_t{1} << 57;

}  // namespace

MappedPages::MappedPages(PageCount count, Backing backing) {
  // One page more at each end stays inaccessible.
  const uint64_t fenced = (count + PageCount(2)).bytes();
  void* base =
      mmap(nullptr, fenced, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  CHECK(base != MAP_FAILED);
  range_ = {PageContaining(reinterpret_cast<uint64_t>(base)) + PageCount(1),
            count};
  int flags = MAP_FIXED;
  if (backing == Backing::kSharedFile) {
    file_.reset(memfd_create("pages", MFD_CLOEXEC));
    CHECK(file_.valid() && ftruncate(file_.get(), count.bytes()) == 0);
    flags |= MAP_SHARED;
  } else {
    flags |= MAP_PRIVATE | MAP_ANONYMOUS;
  }
  CHECK(mmap(data(), count.bytes(), PROT_READ | PROT_WRITE, flags, file_.get(),
             0) == data());
  // Huge pages would make more present than was asked for. EINVAL: there are
  // none.
  CHECK(madvise(data(), count.bytes(), MADV_NOHUGEPAGE) == 0 ||
        errno == EINVAL);
}

MappedPages::MappedPages(const UserfaultFd& uffd, PageCount count,
                         FaultKinds kinds, Backing backing)
    : MappedPages(count, backing) {
  uffd_ = &uffd;
  auto registered = uffd.Register(range_, kinds);
  CHECK(registered.ok()) << registered.status();
}

MappedPages::~MappedPages() {
  // Fails where the test has unmapped all of it itself.
  if (uffd_ != nullptr) uffd_->Unregister(range_).IgnoreError();
  // Unmaps nothing: where the test has made a hole, somebody else may live now.
}

std::byte* MappedPages::data(uint64_t index) const {
  return reinterpret_cast<std::byte*>(AddressOf(at(index)));
}

uint64_t MappedPages::FirstHugePage() const {
  const uint64_t size = kHugePage.raw();
  return (size - at(0).raw() % size) % size;
}

bool MappedPages::IsPresent(uint64_t index) const {
  return (PagemapEntry(index) & kPresentBit) != 0;
}

bool MappedPages::IsWriteProtected(uint64_t index) const {
  return (PagemapEntry(index) & kWriteProtectedBit) != 0;
}

uint64_t MappedPages::PagemapEntry(uint64_t index) const {
  UniqueFd pagemap(open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC));
  uint64_t entry = 0;
  CHECK(pread(pagemap.get(), &entry, sizeof(entry),
              static_cast<off_t>(at(index).raw() * sizeof(entry))) ==
        sizeof(entry));
  return entry;
}

}  // namespace pagelift
