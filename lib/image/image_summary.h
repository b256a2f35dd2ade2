#ifndef PAGELIFT_LIB_IMAGE_IMAGE_SUMMARY_H_
#define PAGELIFT_LIB_IMAGE_IMAGE_SUMMARY_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "lib/memory/page.h"

namespace pagelift {

// How the pages of a task, or of all tasks, get their contents.
struct PageSummary {
  PageCount lazy;    // By the pager. Of these:
  PageCount parent;  //   in a parent image;
  PageCount remote;  //   nowhere here, but with a page server.
  PageCount eager;   // By restore, before the task runs.
  PageCount zero;    // Not in the image, in lazy regions: zero when touched.
};

struct TaskSummary {
  int32_t pid = 0;
  int32_t ppid = 0;
  bool zombie = false;
  std::string comm;  // Escaped; empty if the image does not tell.
  size_t threads = 0;
  size_t mappings = 0;
  size_t lazy_regions = 0;
  PageSummary pages;
};

// A checkpoint for people to look at.
struct ImageSummary {
  std::string content_id;
  std::string run_id;        // Escaped; empty before CRIU 4.1.
  size_t parent_images = 0;  // The length of the chain.
  bool sealed = false;       // See page_seal.h.
  std::vector<TaskSummary> tasks;
  PageSummary total;
};

// Summarises the image directory, also one whose pages are with a page server.
absl::StatusOr<ImageSummary> SummarizeImage(const std::string& directory);

}  // namespace pagelift

#endif  // PAGELIFT_LIB_IMAGE_IMAGE_SUMMARY_H_
