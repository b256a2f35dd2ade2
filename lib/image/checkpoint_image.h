#ifndef PAGELIFT_LIB_IMAGE_CHECKPOINT_IMAGE_H_
#define PAGELIFT_LIB_IMAGE_CHECKPOINT_IMAGE_H_

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "lib/image/page_seal.h"
#include "lib/image/pages_file.h"
#include "lib/memory/page.h"
#include "lib/source/image_description.h"
#include "lib/source/page_store.h"

namespace pagelift {

// What to do about lazy pages that have no contents in the image, as
// `criu dump --lazy-pages` leaves them.
enum class OpenMode {
  kRequireContents,  // Refuse the image.
  kLayoutOnly,       // Describe them; Read() of them is kNotFound.
};

// A checkpoint that CRIU (3.x to 4.2) dumped into a directory, as a page store.
//
// Image pages are the pages to be served, numbered in the order of tasks in the
// process tree and, in a task, of addresses. So copies of one checkpoint number
// them alike, wherever the contents lie: in the directory's own pages files, in
// those of parent images, or elsewhere. Eagerly restored pages have no number.
//
// Thread-safe, immutable. The files may be removed after Open(), but not
// overwritten; pages that are truncated away or punched out are lost.
class CheckpointImage : public PageStore {
 public:
  // Reads all metadata and checks it, and the sizes of the pages files. An
  // error names the file and says what may be done; kUnimplemented: another
  // version of the format; kFailedPrecondition: contents are elsewhere;
  // kDataLoss: damaged.
  static absl::StatusOr<std::shared_ptr<const CheckpointImage>> Open(
      const std::string& directory, OpenMode mode = OpenMode::kRequireContents);

  const ImageDescription& description() const override { return description_; }

  // In addition to the contract: kNotFound for pages without contents.
  absl::StatusOr<PageCount> Read(ImageRange range,
                                 absl::Span<std::byte> buffer) const override;
  void WillNeed(ImageRange range) const override;
  PagesCheck Check(ImageRange range) const override;
  // If the image is sealed.
  PagesCheck Verify(ImagePage first,
                    absl::Span<const std::byte> pages) const override;

  // Whether pages to be served come from a parent image. Restore would read
  // them itself: see restore_view.h.
  bool has_lazy_parent_pages() const { return has_lazy_parent_pages_; }

  // Whether a page that was changed after `pagelift seal` is noticed: it then
  // counts as lost.
  bool is_sealed() const { return seal_.has_value(); }

 private:
  class Builder;
  // Image pages that lie one after the other in one file, or nowhere.
  struct Segment {
    ImageRange range;
    std::shared_ptr<const PagesFile> file;  // Null: nowhere.
    PageCount offset;                       // In it.
  };

  CheckpointImage() = default;

  // The one that `page`, which the image has, is in.
  const Segment& SegmentOf(ImagePage page) const;

  ImageDescription description_;
  std::vector<Segment> segments_;  // Cover [0, page_count), in order.
  std::optional<PageSeal> seal_;   // Of all pages.
  bool has_lazy_parent_pages_ = false;
};

}  // namespace pagelift

#endif  // PAGELIFT_LIB_IMAGE_CHECKPOINT_IMAGE_H_
