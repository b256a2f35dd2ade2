#ifndef PAGELIFT_LIB_MEMORY_APPEND_JOINED_H_
#define PAGELIFT_LIB_MEMORY_APPEND_JOINED_H_

#include <vector>

#include "lib/memory/page.h"

namespace pagelift {

// Adds `more`, which is not empty and lies behind all of `ranges`: joined to
// the last one if that ends where it begins.
inline void AppendJoined(std::vector<PageRange>& ranges, PageRange more) {
  if (!ranges.empty() && ranges.back().limit() == more.first) {
    ranges.back().count = ranges.back().count + more.count;
  } else {
    ranges.push_back(more);
  }
}

}  // namespace pagelift

#endif  // PAGELIFT_LIB_MEMORY_APPEND_JOINED_H_
