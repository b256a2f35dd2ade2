#ifndef PAGELIFT_LIB_IMAGE_PAGEMAP_H_
#define PAGELIFT_LIB_IMAGE_PAGEMAP_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "lib/memory/page.h"

namespace pagelift {

// What a pagemap entry says of its pages.
struct PagemapFlags {
  bool in_parent = false;  // The contents are in the parent image.
  bool lazy = false;       // Restore leaves them to the pager.
  bool present = false;    // The contents are in this directory's pages file.
};

// As the flags of an entry are written.
uint32_t BitsOf(PagemapFlags flags);

struct PagemapEntry {
  PageRange pages;
  PagemapFlags flags;
  // The place of the first page in the pages file; meaningful if present.
  PageCount offset;
};

// How the pages of an entry are counted.
enum class PagemapCounts {
  kOld,  // So that any CRIU can read it.
  kNew,  // As CRIU has done since 4.2.
};

// pagemap-PID.img: which pages of a task the image has, and where.
struct Pagemap {
  // Contents are in pages-<pages_id>.img.
  uint32_t pages_id = 0;
  // In address order, disjoint.
  std::vector<PagemapEntry> entries;
  // How many pages the pages file must have.
  PageCount present_pages;
  bool has_parent_pages = false;
  // Of all entries.
  PagemapCounts counts = PagemapCounts::kOld;
};

// Reads both encodings of counts.
absl::StatusOr<Pagemap> DecodePagemap(const std::string& name,
                                      std::string_view contents);

}  // namespace pagelift

#endif  // PAGELIFT_LIB_IMAGE_PAGEMAP_H_
