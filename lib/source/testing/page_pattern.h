#ifndef PAGELIFT_LIB_SOURCE_TESTING_PAGE_PATTERN_H_
#define PAGELIFT_LIB_SOURCE_TESTING_PAGE_PATTERN_H_

#include <array>
#include <cstddef>
#include <cstdint>

#include "absl/types/span.h"
#include "gmock/gmock.h"
#include "lib/memory/page.h"
#include "lib/source/image_description.h"

namespace pagelift {

using PageBytes = std::array<std::byte, kPageSize>;

// What page `page` of every fake holds: different for each page, never zero.
PageBytes PatternOf(ImagePage page);

// Another such page, which can be compressed.
PageBytes RepetitiveOf(ImagePage page);

// Whether the kPageSize bytes at `memory` are PatternOf(page). They may be
// memory of this process that a pager fills.
bool HoldsPattern(const void* memory, ImagePage page);

// EXPECT_THAT(span_of_bytes, HoldsPatternOf(7)).
MATCHER_P(HoldsPatternOf, page, "holds the pattern of that page") {
  return arg.size() == kPageSize &&
         HoldsPattern(arg.data(), ImagePage(static_cast<uint64_t>(page)));
}

// An image of one task with one lazy region, `region`, whose pages are image
// pages 0, 1, 2, and so on.
ImageDescription OneTaskImage(int32_t pid, PageRange region);

}  // namespace pagelift

#endif  // PAGELIFT_LIB_SOURCE_TESTING_PAGE_PATTERN_H_
