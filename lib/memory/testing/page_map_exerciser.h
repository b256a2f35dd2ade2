#ifndef PAGELIFT_LIB_MEMORY_TESTING_PAGE_MAP_EXERCISER_H_
#define PAGELIFT_LIB_MEMORY_TESTING_PAGE_MAP_EXERCISER_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/types/span.h"
#include "lib/memory/page.h"
#include "lib/memory/page_map.h"
#include "lib/memory/testing/page_map_model.h"

namespace pagelift {

// Bytes that decide what is done next; zeros once they are used up.
class DecisionBytes {
 public:
  explicit DecisionBytes(absl::Span<const uint8_t> bytes) : bytes_(bytes) {}
  bool empty() const { return bytes_.empty(); }
  // REQUIRES: limit > 0.
  uint64_t Below(uint64_t limit);

 private:
  uint8_t Take();

  absl::Span<const uint8_t> bytes_;
};

// Does the same to a PageMap and to its model, and compares them.
class PageMapExerciser {
 public:
  // All pages lie in `space` pages from `base` onward, all image pages in as
  // many from `image_base` onward.
  PageMapExerciser(PageId base, ImagePage image_base, PageCount space);

  // One operation and then all look-ups. Returns the first disagreement, in
  // words; empty if there is none.
  std::string Step(DecisionBytes& decisions);

 private:
  std::string Operate(DecisionBytes& decisions);
  std::string Claim(DecisionBytes& decisions);
  std::string Fork(bool go_on_as_child);
  std::string Compare() const;
  std::string CompareParts(DecisionBytes& decisions) const;

  PageRange DecideRange(DecisionBytes& decisions) const;
  PageId DecidePage(DecisionBytes& decisions) const;

  PageRange space_;
  ImageRange image_space_;
  PageRange last_from_;  // Of the last Move().
  PageId last_to_;
  PageMap map_;
  PageMapModel model_;
};

}  // namespace pagelift

#endif  // PAGELIFT_LIB_MEMORY_TESTING_PAGE_MAP_EXERCISER_H_
