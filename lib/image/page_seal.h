#ifndef PAGELIFT_LIB_IMAGE_PAGE_SEAL_H_
#define PAGELIFT_LIB_IMAGE_PAGE_SEAL_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "lib/base/byte_span.h"
#include "lib/image/image_directory.h"
#include "lib/memory/page.h"

namespace pagelift {

// What each page of an image held when it was sealed, in 64 bits of XXH3 each:
// CRIU's images have no checksums of their own, and a disk that changes a byte
// says nothing. Against damage, not against forgery.
//
// In a file of the image directory, which goes along when that is copied. Its
// format, numbers with the lowest byte first:
//   8 bytes   "PGLFSEAL"
//   4 + 4     version (1), and 0
//   8         how many pages
//   32        content id of the image
//   8 each    digest of a page, in the order of their numbers
//   8         XXH3 of all that is before
//
// Thread-safe, immutable.
class PageSeal {
 public:
  static constexpr char kName[] = "pagelift-seal";

  // The one in `directory`; nothing if it has none. kDataLoss: it is damaged;
  // kFailedPrecondition: of another checkpoint, or another format.
  static absl::StatusOr<std::optional<PageSeal>> Read(
      const ImageDirectory& directory, absl::string_view content_id,
      PageCount page_count);

  // Puts it there, or replaces it: see replace_file.h. REQUIRES: `content_id`
  // is of an image.
  static absl::Status Write(const std::string& directory,
                            absl::string_view content_id,
                            absl::Span<const uint64_t> digests);

  static absl::StatusOr<PageSeal> Decode(absl::string_view bytes,
                                         absl::string_view content_id,
                                         PageCount page_count);
  static std::string Encode(absl::string_view content_id,
                            absl::Span<const uint64_t> digests);

  const std::vector<uint64_t>& digests() const { return digests_; }

  // How many of `pages`, whole ones, from `first` on are as they were, up to
  // the first that is not. REQUIRES: the image has them.
  PageCount Unchanged(ImagePage first, ByteSpan pages) const;

 private:
  explicit PageSeal(std::vector<uint64_t> digests)
      : digests_(std::move(digests)) {}

  std::vector<uint64_t> digests_;
};

}  // namespace pagelift

#endif  // PAGELIFT_LIB_IMAGE_PAGE_SEAL_H_
