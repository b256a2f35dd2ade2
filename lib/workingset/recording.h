#ifndef PAGELIFT_LIB_WORKINGSET_RECORDING_H_
#define PAGELIFT_LIB_WORKINGSET_RECORDING_H_

#include <cstddef>
#include <vector>

#include "lib/memory/page.h"

namespace pagelift {

// The pages of an image in the order in which a restore first touched them, or
// may be expected to. None is in it twice.
//
// Thread-compatible. What is kept of it is bounded, so that it can be sent in
// one message.
class Recording {
 public:
  static constexpr PageCount kMostPages{uint64_t{1} << 20};
  static constexpr size_t kMostRuns = size_t{512} << 10;

  // Makes room: what is there is not moved before it is of so many pages.
  void Reserve(PageCount pages);

  // Adds pages at the end, as many as there is room for; whether that was all.
  // REQUIRES: none of them is in it.
  bool Append(ImageRange pages);

  // The pages as runs that follow each other in the image.
  const std::vector<ImageRange>& runs() const { return runs_; }
  PageCount page_count() const { return page_count_; }
  bool empty() const { return runs_.empty(); }

 private:
  std::vector<ImageRange> runs_;
  PageCount page_count_;
};

}  // namespace pagelift

#endif  // PAGELIFT_LIB_WORKINGSET_RECORDING_H_
