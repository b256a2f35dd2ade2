#include "lib/image/image_summary.h"

#include <optional>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "lib/base/status_macros.h"
#include "lib/base/sys_error.h"
#include "lib/image/checkpoint_image.h"
#include "lib/image/checkpoint_metadata.h"
#include "lib/image/page_seal.h"
#include "lib/image/task_image.h"
#include "lib/image/thread_core.h"

namespace pagelift {
namespace {

void Add(const PageSummary& pages, PageSummary* sum) {
  sum->lazy = sum->lazy + pages.lazy;
  sum->parent = sum->parent + pages.parent;
  sum->remote = sum->remote + pages.remote;
  sum->eager = sum->eager + pages.eager;
  sum->zero = sum->zero + pages.zero;
}

PageCount Size(const std::vector<PageRange>& ranges) {
  PageCount sum;
  for (const PageRange& range : ranges) sum = sum + range.count;
  return sum;
}

PageSummary SummarizePages(const TaskImage& task) {
  PageSummary pages;
  PageCount mentioned;
  for (const PagemapEntry& entry : task.pagemaps().newest().entries) {
    PageCount in_regions = Size(task.layout().InLazyRegions(entry.pages));
    mentioned = mentioned + in_regions;
    PageCount served = Size(task.ServedPages(entry));
    pages.lazy = pages.lazy + served;
    if (entry.flags.in_parent) {
      pages.parent = pages.parent + served;
    } else if (!entry.flags.present) {
      pages.remote = pages.remote + served;
    }
    if (!entry.flags.lazy) {
      pages.eager = pages.eager + (entry.pages.count - served);
    }
  }
  pages.zero = Size(task.layout().lazy_regions()) - mentioned;
  return pages;
}

std::string ReadComm(const ImageDirectory& directory, int32_t pid) {
  std::string name = absl::StrCat("core-", pid, ".img");
  absl::StatusOr<std::string> contents = directory.ReadFile(name);
  if (!contents.ok()) return "";
  absl::StatusOr<ThreadCore> core = DecodeThreadCore(name, *contents);
  return core.ok() ? absl::Utf8SafeCEscape(core->comm) : "";
}

absl::StatusOr<TaskSummary> SummarizeTask(const CheckpointMetadata& metadata,
                                          const TaskRecord& record) {
  TaskSummary summary;
  summary.pid = record.pid;
  summary.ppid = record.ppid;
  summary.zombie = record.zombie;
  summary.comm = ReadComm(metadata.directory(), record.pid);
  if (record.zombie) return summary;
  summary.threads = record.threads.size();
  ASSIGN_OR_RETURN(TaskImage task, TaskImage::Open(metadata.chain, record));
  summary.mappings = task.layout().mapping_count();
  summary.lazy_regions = task.layout().lazy_regions().size();
  summary.pages = SummarizePages(task);
  return summary;
}

}  // namespace

absl::StatusOr<ImageSummary> SummarizeImage(const std::string& directory) {
  ASSIGN_OR_RETURN(CheckpointMetadata metadata,
                   CheckpointMetadata::Read(directory));
  ImageSummary summary;
  ASSIGN_OR_RETURN(auto image,
                   CheckpointImage::Open(directory, OpenMode::kLayoutOnly));
  summary.content_id = image->description().content_id;
  summary.run_id = absl::Utf8SafeCEscape(metadata.inventory.run_id);
  summary.parent_images = metadata.chain.size() - 1;
  ASSIGN_OR_RETURN(const std::optional<PageSeal> seal,
                   PageSeal::Read(metadata.directory(), summary.content_id,
                                  image->description().page_count));
  summary.sealed = seal.has_value();
  for (const TaskRecord& record : metadata.tasks) {
    absl::StatusOr<TaskSummary> task = SummarizeTask(metadata, record);
    RETURN_IF_ERROR(Annotate(task.status(), directory));
    Add(task->pages, &summary.total);
    summary.tasks.push_back(*std::move(task));
  }
  return summary;
}

}  // namespace pagelift
