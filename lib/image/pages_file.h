#ifndef PAGELIFT_LIB_IMAGE_PAGES_FILE_H_
#define PAGELIFT_LIB_IMAGE_PAGES_FILE_H_

#include <cstddef>
#include <cstdint>
#include <memory>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "lib/base/unique_fd.h"
#include "lib/image/image_directory.h"
#include "lib/memory/page.h"
#include "lib/source/page_store.h"

namespace pagelift {

// pages-N.img: page contents one after the other, nothing else.
//
// Immutable, thread-safe. The file may be removed, but not overwritten; what is
// truncated away or punched out of it is lost.
class PagesFile {
 public:
  // Checks that the file has exactly `pages` pages and no hole: a hole is what
  // deduplication leaves, and would read as zeros.
  static absl::StatusOr<std::shared_ptr<const PagesFile>> Open(
      const ImageDirectory& directory, uint32_t pages_id, PageCount pages);

  // Reads the pages from `offset` on into `buffer`, all that it has room for or
  // fewer, and returns how many: at least one. kDataLoss if the first one is
  // not there, or cannot be read. REQUIRES: `buffer` is whole pages that were
  // all in the file when it was opened, at least one.
  absl::StatusOr<PageCount> Read(PageCount offset,
                                 absl::Span<std::byte> buffer) const;

  // Has the kernel read `count` pages from `offset` on into its cache, if they
  // are not there. Does not wait for it. REQUIRES: they were in the file when
  // it was opened.
  void WillNeed(PageCount offset, PageCount count) const;

  // Whether `count` pages from `offset` on, which have been read as zeros or
  // could not be read, are still in the file.
  PagesCheck Check(PageCount offset, PageCount count) const;

 private:
  PagesFile() = default;

  // Says of `count` pages at byte `offset` that they are lost.
  PagesCheck Lost(uint64_t offset, PageCount count) const;

  UniqueFd fd_;  // None if there are no pages.
};

}  // namespace pagelift

#endif  // PAGELIFT_LIB_IMAGE_PAGES_FILE_H_
