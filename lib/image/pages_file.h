#ifndef PAGELIFT_LIB_IMAGE_PAGES_FILE_H_
#define PAGELIFT_LIB_IMAGE_PAGES_FILE_H_

#include <cstddef>
#include <cstdint>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "lib/base/unique_fd.h"
#include "lib/image/image_directory.h"
#include "lib/memory/page.h"
#include "lib/source/page_store.h"

namespace pagelift {

// pages-N.img, mapped: page contents one after the other, nothing else.
//
// Immutable. Reading what it hands out can raise SIGBUS if somebody truncates
// the file, or makes a hole in it on tmpfs: see lib/base/fault_guard.h.
class PagesFile {
 public:
  // Checks that the file has exactly `pages` pages and no hole: a hole is what
  // deduplication leaves, and would read as zeros. kFailedPrecondition if the
  // file is on tmpfs and later holes would not be noticed.
  static absl::StatusOr<PagesFile> Open(const ImageDirectory& directory,
                                        uint32_t pages_id, PageCount pages);

  ~PagesFile();
  PagesFile(PagesFile&& other) noexcept;
  PagesFile& operator=(PagesFile&& other) noexcept;
  PagesFile(const PagesFile&) = delete;
  PagesFile& operator=(const PagesFile&) = delete;

  // REQUIRES: offset + count is within the file. Valid as long as the object,
  // or the one it was moved to.
  absl::Span<const std::byte> Pages(PageCount offset, PageCount count) const {
    return bytes_.subspan(offset.bytes(), count.bytes());
  }

  // Whether this file's Pages() hand out what is at `bytes`.
  bool Has(const std::byte* bytes) const {
    return bytes >= bytes_.data() && bytes < bytes_.data() + bytes_.size();
  }

  // Whether pages that have been read as zeros, or could not be read, are still
  // in the file. REQUIRES: `pages` is whole pages and begins in this file.
  PagesCheck Check(absl::Span<const std::byte> pages) const;

 private:
  PagesFile() = default;

  // Says of `count` pages at byte `offset` that they are lost.
  PagesCheck Lost(uint64_t offset, PageCount count) const;

  absl::Span<const std::byte> bytes_;  // Empty if there is no mapping.
  UniqueFd fd_;
  // Reading a hole raises SIGBUS: see lib/uffd/refuse_holes.h.
  bool refuses_holes_ = false;
};

}  // namespace pagelift

#endif  // PAGELIFT_LIB_IMAGE_PAGES_FILE_H_
