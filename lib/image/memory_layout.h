#ifndef PAGELIFT_LIB_IMAGE_MEMORY_LAYOUT_H_
#define PAGELIFT_LIB_IMAGE_MEMORY_LAYOUT_H_

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "lib/memory/page.h"

namespace pagelift {

// Which parts of a task's memory restore registers with userfaultfd, as
// mm-PID.img says.
//
// Immutable.
class MemoryLayout {
 public:
  // All mappings, guard ranges not counted.
  size_t mapping_count() const { return mapping_count_; }

  // The mappings that restore registers, without the guard ranges in them:
  // pages under a guard are to be left alone. In address order, disjoint;
  // neighbouring mappings stay apart.
  const std::vector<PageRange>& lazy_regions() const { return lazy_regions_; }

  // The parts of `pages` that are in lazy regions, cut at region borders.
  std::vector<PageRange> InLazyRegions(PageRange pages) const;

  // The first page of `pages` that is in no mapping at all.
  std::optional<PageId> FirstNotMapped(PageRange pages) const;

  // The first page of `pages` that no registered mapping covers. Guarded pages
  // of a registered mapping count as covered.
  std::optional<PageId> FirstNotRegistered(PageRange pages) const;

 private:
  friend absl::StatusOr<MemoryLayout> DecodeMemoryLayout(
      const std::string& name, std::string_view contents);

  size_t mapping_count_ = 0;
  std::vector<PageRange> mapped_;
  std::vector<PageRange> registered_;
  std::vector<PageRange> lazy_regions_;
};

absl::StatusOr<MemoryLayout> DecodeMemoryLayout(const std::string& name,
                                                std::string_view contents);

}  // namespace pagelift

#endif  // PAGELIFT_LIB_IMAGE_MEMORY_LAYOUT_H_
