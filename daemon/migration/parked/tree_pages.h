#ifndef PAGELIFT_DAEMON_MIGRATION_PARKED_TREE_PAGES_H_
#define PAGELIFT_DAEMON_MIGRATION_PARKED_TREE_PAGES_H_

#include <cstddef>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "daemon/migration/parked/frozen_tree.h"
#include "lib/memory/page.h"
#include "lib/source/image_description.h"

namespace pagelift {

// The pages of an image, in the memory of the frozen tree that it is of.
//
// Thread-safe, immutable.
class TreePages {
 public:
  // `tree` must outlive it, and may be moved. kFailedPrecondition if it is not
  // of this image.
  static absl::StatusOr<TreePages> Of(const ImageDescription& description,
                                      const FrozenTree& tree);

  // As PageStore::Read(). kDataLoss: the task that has the first page has
  // ended. REQUIRES: the image has `range`, which is not empty.
  absl::StatusOr<PageCount> Read(ImageRange range,
                                 absl::Span<std::byte> buffer) const;

 private:
  // Image pages that lie one after the other in a task.
  struct Segment {
    ImageRange range;
    const FrozenTask* task;
    PageId first;
  };

  explicit TreePages(std::vector<Segment> segments)
      : segments_(std::move(segments)) {}

  std::vector<Segment> segments_;  // Cover all pages, in order.
};

}  // namespace pagelift

#endif  // PAGELIFT_DAEMON_MIGRATION_PARKED_TREE_PAGES_H_
