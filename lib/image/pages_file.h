#ifndef PAGELIFT_LIB_IMAGE_PAGES_FILE_H_
#define PAGELIFT_LIB_IMAGE_PAGES_FILE_H_

#include <cstddef>
#include <cstdint>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "lib/image/image_directory.h"
#include "lib/memory/page.h"

namespace pagelift {

// pages-N.img, mapped: page contents one after the other, nothing else.
//
// Immutable. Reading what it hands out can raise SIGBUS if somebody truncates
// the file: see lib/base/fault_guard.h.
class PagesFile {
 public:
  // Checks that the file has exactly `pages` pages and no hole: a hole is what
  // deduplication leaves, and would read as zeros.
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

 private:
  explicit PagesFile(absl::Span<const std::byte> bytes) : bytes_(bytes) {}

  absl::Span<const std::byte> bytes_;  // Empty if there is no mapping.
};

}  // namespace pagelift

#endif  // PAGELIFT_LIB_IMAGE_PAGES_FILE_H_
