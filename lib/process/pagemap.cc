#include "lib/process/pagemap.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "lib/base/sys_error.h"

namespace pagelift {
namespace {

// Bits of an entry; see Documentation/admin-guide/mm/pagemap.rst of Linux.
constexpr uint64_t kPresentBit = uint64_t{1} << 63;
constexpr uint64_t kSwappedBit = uint64_t{1} << 62;

// What is swapped out has a type in its lowest bits. The greatest is that of
// markers; others are swap files and pages that are being migrated.
constexpr uint64_t kSwapTypeBits = 0x1f;
constexpr uint64_t kMarkerType = 0x1f;

PageEntry KindOf(uint64_t entry) {
  if ((entry & kPresentBit) != 0) return PageEntry::kPage;
  if ((entry & kSwappedBit) == 0) return PageEntry::kNothing;
  return (entry & kSwapTypeBits) == kMarkerType ? PageEntry::kMarked
                                                : PageEntry::kPage;
}

}  // namespace

Pagemap::Pagemap(UniqueFd file) : file_(std::move(file)) {}

absl::StatusOr<Pagemap> Pagemap::Open(pid_t pid) {
  const std::string path = absl::StrCat("/proc/", pid, "/pagemap");
  UniqueFd file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.valid()) return SysError("open ", path);
  return Pagemap(std::move(file));
}

absl::StatusOr<std::vector<PageEntry>> Pagemap::Read(PageRange range) const {
  std::vector<uint64_t> entries(range.count.raw());
  size_t have = 0;  // Bytes.
  const size_t wanted = entries.size() * sizeof(uint64_t);
  while (have < wanted) {
    const ssize_t got =
        pread(file_.get(), reinterpret_cast<char*>(entries.data()) + have,
              wanted - have,
              static_cast<off_t>(range.first.raw() * sizeof(uint64_t) + have));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return SysError("read pagemap of ", ToString(range));
    if (got == 0) break;  // Nothing is there.
    have += static_cast<size_t>(got);
  }
  std::vector<PageEntry> kinds;
  kinds.reserve(entries.size());
  for (uint64_t entry : entries) kinds.push_back(KindOf(entry));
  return kinds;
}

}  // namespace pagelift
