#ifndef PAGELIFT_LIB_IMAGE_TASK_IMAGE_H_
#define PAGELIFT_LIB_IMAGE_TASK_IMAGE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "lib/image/image_directory.h"
#include "lib/image/memory_layout.h"
#include "lib/image/pagemap_chain.h"
#include "lib/image/process_tree.h"
#include "lib/memory/page.h"

namespace pagelift {

// The images of one task that is not a zombie, read and checked against each
// other.
//
// Immutable.
class TaskImage {
 public:
  // `chain` is the checkpoint's directory and its parents, the newest first.
  // Fails if a page is marked lazy that restore does not register.
  static absl::StatusOr<TaskImage> Open(absl::Span<const ImageDirectory> chain,
                                        const TaskRecord& task);

  const MemoryLayout& layout() const { return layout_; }
  const PagemapChain& pagemaps() const { return pagemaps_; }

  // Of all threads: see thread_core.h.
  const std::vector<uint64_t>& kernel_words() const { return kernel_words_; }
  const std::vector<uint64_t>& robust_lists() const { return robust_lists_; }

  // The pages of an entry of the newest pagemap that the pager serves, cut at
  // the borders of lazy regions: those marked lazy, and in lazy regions those
  // of the parent image, except the pages that threads have their stack
  // pointers in.
  std::vector<PageRange> ServedPages(const PagemapEntry& entry) const;

  // All pages of the entry, in order, cut where serving them begins or ends.
  struct Part {
    PageRange pages;
    bool served;
  };
  std::vector<Part> PartsOf(const PagemapEntry& entry) const;

 private:
  TaskImage(MemoryLayout layout, PagemapChain pagemaps);

  absl::Status ReadThreads(const ImageDirectory& directory,
                           const TaskRecord& task);

  MemoryLayout layout_;
  PagemapChain pagemaps_;
  std::vector<PageId> stack_pages_;  // Sorted.
  std::vector<uint64_t> kernel_words_;
  std::vector<uint64_t> robust_lists_;
};

}  // namespace pagelift

#endif  // PAGELIFT_LIB_IMAGE_TASK_IMAGE_H_
