#include "lib/image/task_image.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "lib/base/status_macros.h"
#include "lib/image/thread_core.h"

namespace pagelift {
namespace {

absl::Status CheckLazyPagesAreRegistered(const TaskRecord& task,
                                         const MemoryLayout& layout,
                                         const Pagemap& pagemap) {
  for (const PagemapEntry& entry : pagemap.entries) {
    if (!entry.flags.lazy) continue;
    std::optional<PageId> outside = layout.FirstNotRegistered(entry.pages);
    if (outside) {
      return absl::DataLossError(absl::StrCat(
          "the page at 0x", absl::Hex(AddressOf(*outside)), " of task ",
          task.pid,
          " is marked lazy, but is not in a mapping that restore "
          "leaves to the pager: mm-",
          task.pid, ".img and pagemap-", task.pid, ".img are not of one dump"));
    }
  }
  return absl::OkStatus();
}

}  // namespace

TaskImage::TaskImage(MemoryLayout layout, PagemapChain pagemaps)
    : layout_(std::move(layout)), pagemaps_(std::move(pagemaps)) {}

absl::StatusOr<TaskImage> TaskImage::Open(
    absl::Span<const ImageDirectory> chain, const TaskRecord& task) {
  const ImageDirectory& directory = chain.front();
  std::string name = absl::StrCat("mm-", task.pid, ".img");
  ASSIGN_OR_RETURN(std::string contents, directory.ReadFile(name));
  ASSIGN_OR_RETURN(MemoryLayout layout,
                   DecodeMemoryLayout(directory.PathOf(name), contents));
  ASSIGN_OR_RETURN(PagemapChain pagemaps, PagemapChain::Open(chain, task.pid));
  RETURN_IF_ERROR(CheckLazyPagesAreRegistered(task, layout, pagemaps.newest()));
  TaskImage image(std::move(layout), std::move(pagemaps));
  RETURN_IF_ERROR(image.ReadThreads(directory, task));
  return image;
}

absl::Status TaskImage::ReadThreads(const ImageDirectory& directory,
                                    const TaskRecord& task) {
  for (int32_t thread : task.threads) {
    std::string name = absl::StrCat("core-", thread, ".img");
    ASSIGN_OR_RETURN(std::string contents, directory.ReadFile(name));
    ASSIGN_OR_RETURN(ThreadCore core,
                     DecodeThreadCore(directory.PathOf(name), contents));
    if (core.stack_pointer) {
      stack_pages_.push_back(PageContaining(*core.stack_pointer));
    }
    kernel_words_.insert(kernel_words_.end(), core.kernel_words.begin(),
                         core.kernel_words.end());
    if (core.robust_list) robust_lists_.push_back(*core.robust_list);
  }
  std::sort(stack_pages_.begin(), stack_pages_.end());
  stack_pages_.erase(std::unique(stack_pages_.begin(), stack_pages_.end()),
                     stack_pages_.end());
  return absl::OkStatus();
}

std::vector<PageRange> TaskImage::ServedPages(const PagemapEntry& entry) const {
  if (entry.flags.lazy) return layout_.InLazyRegions(entry.pages);
  if (!entry.flags.in_parent) return {};
  std::vector<PageRange> served;
  for (PageRange rest : layout_.InLazyRegions(entry.pages)) {
    auto stack =
        std::lower_bound(stack_pages_.begin(), stack_pages_.end(), rest.first);
    for (; stack != stack_pages_.end() && rest.Contains(*stack); ++stack) {
      PageRange before = PageRange::Between(rest.first, *stack);
      if (!before.empty()) served.push_back(before);
      rest = PageRange::Between(*stack + PageCount(1), rest.limit());
    }
    if (!rest.empty()) served.push_back(rest);
  }
  return served;
}

std::vector<TaskImage::Part> TaskImage::PartsOf(
    const PagemapEntry& entry) const {
  std::vector<Part> parts;
  PageRange rest = entry.pages;
  for (PageRange served : ServedPages(entry)) {
    const PageRange before = PageRange::Between(rest.first, served.first);
    if (!before.empty()) parts.push_back({before, false});
    parts.push_back({served, true});
    rest = PageRange::Between(served.limit(), rest.limit());
  }
  if (!rest.empty()) parts.push_back({rest, false});
  return parts;
}

}  // namespace pagelift
