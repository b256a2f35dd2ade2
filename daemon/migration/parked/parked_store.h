#ifndef PAGELIFT_DAEMON_MIGRATION_PARKED_PARKED_STORE_H_
#define PAGELIFT_DAEMON_MIGRATION_PARKED_PARKED_STORE_H_

#include <cstddef>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "daemon/migration/parked/spool.h"
#include "daemon/migration/parked/tree_pages.h"
#include "lib/memory/page.h"
#include "lib/source/image_description.h"
#include "lib/source/page_store.h"

namespace pagelift {

// The pages of a parked tree: from the spool those that it has, the others from
// the frozen tree itself, and from either if the other one fails. A page that
// neither has is kDataLoss. Whoever reads never waits for the spool to grow.
//
// Thread-safe.
class ParkedStore : public PageStore {
 public:
  // `description` is of the images that CRIU wrote. `tree` and `spool` must
  // outlive it; `tree` is null if there is none any more, and then the spool is
  // complete.
  ParkedStore(ImageDescription description, const TreePages* tree,
              const Spool& spool);

  const ImageDescription& description() const override { return description_; }
  absl::StatusOr<PageCount> Read(ImageRange range,
                                 absl::Span<std::byte> buffer) const override;
  void WillNeed(ImageRange range) const override;
  PagesCheck Check(ImageRange range) const override;
  // Those that the spool has, by its digests.
  PagesCheck Verify(ImagePage first,
                    absl::Span<const std::byte> pages) const override;

 private:
  // The first pages of `range`: empty if the spool does not have the first.
  ImageRange InSpool(ImageRange range) const;
  absl::StatusOr<PageCount> ReadTree(ImageRange range,
                                     absl::Span<std::byte> buffer) const;

  const ImageDescription description_;
  const TreePages* const tree_;
  const Spool& spool_;
};

}  // namespace pagelift

#endif  // PAGELIFT_DAEMON_MIGRATION_PARKED_PARKED_STORE_H_
