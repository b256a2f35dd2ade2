#ifndef PAGELIFT_LIB_IMAGE_PAGEMAP_WRITER_H_
#define PAGELIFT_LIB_IMAGE_PAGEMAP_WRITER_H_

#include <cstdint>
#include <string>

#include "lib/image/pagemap.h"
#include "lib/memory/page.h"

namespace pagelift {

// Makes the contents of a pagemap file.
//
// Thread-compatible.
class PagemapWriter {
 public:
  PagemapWriter(uint32_t pages_id, PagemapCounts counts);

  // REQUIRES: in address order, and disjoint.
  void Add(PageRange pages, PagemapFlags flags);

  const std::string& contents() const { return contents_; }

 private:
  const PagemapCounts counts_;
  std::string contents_;
};

// Of pages that are left to the pager, and whose contents are elsewhere.
constexpr PagemapFlags kLazyWithoutContents = {
    /*in_parent=*/false, /*lazy=*/true, /*present=*/false};

}  // namespace pagelift

#endif  // PAGELIFT_LIB_IMAGE_PAGEMAP_WRITER_H_
