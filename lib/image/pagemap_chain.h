#ifndef PAGELIFT_LIB_IMAGE_PAGEMAP_CHAIN_H_
#define PAGELIFT_LIB_IMAGE_PAGEMAP_CHAIN_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "lib/image/image_directory.h"
#include "lib/image/pagemap.h"
#include "lib/image/pages_file.h"
#include "lib/memory/page.h"

namespace pagelift {

// Contents of a run of a task's pages.
struct LocatedPages {
  PageRange pages;
  // Null if the image has no contents for them: they are with a page server.
  std::shared_ptr<const PagesFile> file;
  PageCount offset;  // In it.
};

// A pagemap with its pages file, and those of the parent images as far as they
// are needed: an incremental dump says of most pages "as in the parent".
//
// Immutable.
class PagemapChain {
 public:
  // That of a task. `chain` is the checkpoint's directory and its parents, the
  // newest first.
  static absl::StatusOr<PagemapChain> Open(
      absl::Span<const ImageDirectory> chain, int32_t pid);
  // Any, by the name of its file. `whose` the pages are, for error messages.
  static absl::StatusOr<PagemapChain> Open(
      absl::Span<const ImageDirectory> chain, const std::string& name,
      std::string whose);

  // What the checkpoint itself says.
  const Pagemap& newest() const { return levels_.front().pagemap; }

  // Follows the chain for `pages`, which the newest pagemap must describe, and
  // appends where they are, in address order.
  absl::Status Locate(PageRange pages,
                      std::vector<LocatedPages>* located) const;

 private:
  struct Level {
    Pagemap pagemap;
    std::shared_ptr<const PagesFile> file;
  };

  absl::Status LocateFrom(size_t level, PageRange pages,
                          std::vector<LocatedPages>* located) const;

  std::string whose_;
  std::vector<Level> levels_;
};

}  // namespace pagelift

#endif  // PAGELIFT_LIB_IMAGE_PAGEMAP_CHAIN_H_
