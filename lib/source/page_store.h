#ifndef PAGELIFT_LIB_SOURCE_PAGE_STORE_H_
#define PAGELIFT_LIB_SOURCE_PAGE_STORE_H_

#include <cstddef>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "lib/memory/page.h"
#include "lib/source/image_description.h"

namespace pagelift {

// What is known of the first pages of a range.
struct PagesCheck {
  PageCount count;  // At least one.
  // OK: they are what was dumped, as far as is known. kDataLoss: they are not.
  absl::Status status;
};

// The page contents of one checkpoint on this machine.
//
// Thread-safe, immutable.
class PageStore {
 public:
  virtual ~PageStore() = default;
  virtual const ImageDescription& description() const = 0;

  // Reads the first pages of `range` into `buffer`, as many as it has room for
  // or fewer, and returns how many: at least one. Read, and not mapped: what is
  // in the buffer stays as it was when it was looked at, and a page that is
  // mapped costs a fault. May wait for a disk. kOutOfRange for pages the image
  // does not have, kDataLoss for a page that it should have and does not (a
  // truncated file, a disk that fails). REQUIRES: `buffer` is whole pages, at
  // least one.
  virtual absl::StatusOr<PageCount> Read(
      ImageRange range, absl::Span<std::byte> buffer) const = 0;

  // `range` will be read soon: a disk may begin to. Does not wait for it.
  // REQUIRES: the image has `range`.
  virtual void WillNeed(ImageRange /*range*/) const {}

  // To be asked about pages that read as zeros or could not be read, after
  // that: they may have been taken out of the file since it was opened, and
  // what reads as zeros in their place is not what was dumped.
  // REQUIRES: the image has `range`.
  virtual PagesCheck Check(ImageRange range) const = 0;

  // To be asked about `pages`, whole ones and at least one, which were read
  // from `first` on: some stores know what they have to be.
  virtual PagesCheck Verify(ImagePage /*first*/,
                            absl::Span<const std::byte> pages) const {
    return {PageCount(pages.size() / kPageSize), absl::OkStatus()};
  }
};

}  // namespace pagelift

#endif  // PAGELIFT_LIB_SOURCE_PAGE_STORE_H_
