#ifndef PAGELIFT_LIB_SOURCE_PAGE_STORE_H_
#define PAGELIFT_LIB_SOURCE_PAGE_STORE_H_

#include <cstddef>

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
};

}  // namespace pagelift

#endif  // PAGELIFT_LIB_SOURCE_PAGE_STORE_H_
