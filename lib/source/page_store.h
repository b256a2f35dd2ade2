#ifndef PAGELIFT_LIB_SOURCE_PAGE_STORE_H_
#define PAGELIFT_LIB_SOURCE_PAGE_STORE_H_

#include <cstddef>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "lib/memory/page.h"
#include "lib/source/image_description.h"

namespace pagelift {

// Contents of the first pages of a range, as they lie in memory.
struct StoredRun {
  PageCount count;  // At least one; may be fewer than were asked for.
  // count * 4096 bytes, valid as long as the store. They are mapped from a
  // file: reading them in our own code can raise SIGBUS if somebody truncates
  // it, so it is done under lib/base/fault_guard.h; the kernel reading them
  // (UFFDIO_COPY, sendmsg) reports EFAULT instead.
  absl::Span<const std::byte> bytes;
};

// What the file itself says of the first pages of a range.
struct PagesCheck {
  PageCount count;  // At least one.
  // OK: they are in the file. kDataLoss: they no longer are, and what reads as
  // zeros in their place is not what was dumped.
  absl::Status status;
};

// The page contents of one checkpoint on this machine.
//
// Thread-safe, immutable. Held by shared_ptr, so that a message on its way to a
// client keeps the mapping alive.
class PageStore {
 public:
  virtual ~PageStore() = default;
  virtual const ImageDescription& description() const = 0;

  // kOutOfRange for pages the image does not have, kDataLoss for pages that it
  // should have and does not (a hole, a truncated file).
  virtual absl::StatusOr<StoredRun> Read(ImageRange range) const = 0;

  // To be asked about pages that read as zeros or cannot be read, after that:
  // they may have been taken out of the file since it was opened. REQUIRES:
  // Read() returned contents of the first page of `range`.
  virtual PagesCheck Check(ImageRange range) const = 0;
};

}  // namespace pagelift

#endif  // PAGELIFT_LIB_SOURCE_PAGE_STORE_H_
