#ifndef PAGELIFT_DAEMON_PAGER_SESSION_IMAGE_OWNERS_H_
#define PAGELIFT_DAEMON_PAGER_SESSION_IMAGE_OWNERS_H_

#include <cstddef>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "lib/memory/page.h"
#include "lib/source/image_description.h"

namespace pagelift {

// Which task of an image each image page belongs to.
//
// Immutable, so thread-safe.
class ImageOwners {
 public:
  // kInvalidArgument if a page belongs to two tasks.
  static absl::StatusOr<ImageOwners> Of(const ImageDescription& description);

  // Calls `visit` with the parts of `range` and the index of the task that each
  // belongs to, in image order; pages of no task are passed over.
  void ForEach(ImageRange range,
               absl::FunctionRef<void(ImageRange, size_t task)> visit) const;

 private:
  struct Owned {
    ImageRange pages;
    size_t task;
  };
  std::vector<Owned> owned_;  // In image order, disjoint.
};

}  // namespace pagelift

#endif  // PAGELIFT_DAEMON_PAGER_SESSION_IMAGE_OWNERS_H_
