#ifndef PAGELIFT_LIB_SOURCE_IMAGE_DESCRIPTION_H_
#define PAGELIFT_LIB_SOURCE_IMAGE_DESCRIPTION_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "lib/memory/page.h"

namespace pagelift {

// A run of a task's pages whose contents are a run of image pages.
struct ImageExtent {
  PageRange pages;
  ImagePage image;
};

// What the image knows of one task's memory.
struct TaskDescription {
  // As recorded in the image, i.e. inside the pid namespace that was dumped.
  int32_t pid = 0;
  // A zombie has no memory; it is listed because restore reports it.
  bool zombie = false;
  // Ranges that restore registers with userfaultfd, in address order, disjoint.
  std::vector<PageRange> lazy_regions;
  // Pages that are to be served, in address order, disjoint, each inside a lazy
  // region. Pages of a lazy region in no extent were restored before the task
  // runs, or are zero.
  std::vector<ImageExtent> extents;
  // Those of them that are to be there before the task runs, in order: the
  // kernel looks at them on paths on which it does not wait for a page, and
  // then goes on as if there were nothing (a thread that ends and its robust
  // mutexes).
  std::vector<PageId> must_have_pages;

  PageCount lazy_pages() const;
};

// What a checkpoint holds, as a page source describes it.
//
// Image pages are numbered [0, page_count): every page to be served has one
// number, counted task by task in address order, whichever file its contents
// lie in.
struct ImageDescription {
  // The same for every copy of one checkpoint, and for no other; hex.
  std::string content_id;
  PageCount page_count;
  std::vector<TaskDescription> tasks;

  const TaskDescription* FindTask(int32_t pid) const;

  // Whether the parts fit together: ranges sorted, disjoint and below 2^57
  // bytes, extents inside regions and inside [0, page_count), no image page
  // used twice by one task, no pid twice. Descriptions from the network are
  // checked with this before anything uses them.
  absl::Status Validate() const;
};

// kFailedPrecondition if the image at `source`, which `description` is of, is
// another checkpoint than `expected`, the content id of an image directory that
// is to be restored.
absl::Status CheckSameCheckpoint(const std::string& source,
                                 const ImageDescription& description,
                                 const std::string& expected);

}  // namespace pagelift

#endif  // PAGELIFT_LIB_SOURCE_IMAGE_DESCRIPTION_H_
