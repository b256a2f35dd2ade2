#include "lib/image/checkpoint_image.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "lib/base/log.h"
#include "lib/base/status_macros.h"
#include "lib/base/sys_error.h"
#include "lib/image/checkpoint_metadata.h"
#include "lib/image/content_id.h"
#include "lib/image/robust_list.h"
#include "lib/image/task_image.h"

namespace pagelift {
namespace {

absl::Status NoContents(int32_t pid, PageRange pages) {
  return absl::FailedPreconditionError(absl::StrCat(
      "pages ", ToString(pages), " of task ", pid,
      " have no contents here: the checkpoint was made with `criu dump "
      "--lazy-pages`, or is a copy without its pages, which are with a page "
      "server; name that page server as the source: --source "
      "grpcs://HOST:PORT/NAME"));
}

}  // namespace

// Numbers the pages to be served, one task after the other.
class CheckpointImage::Builder {
 public:
  Builder(CheckpointImage* image, OpenMode mode)
      : image_(*image), mode_(mode) {}

  absl::Status AddTask(const TaskRecord& record,
                       const CheckpointMetadata& metadata) {
    TaskDescription task;
    task.pid = record.pid;
    task.zombie = record.zombie;
    if (!record.zombie) {
      ASSIGN_OR_RETURN(TaskImage images,
                       TaskImage::Open(metadata.chain, record));
      task.lazy_regions = images.layout().lazy_regions();
      RETURN_IF_ERROR(AddPages(images, &task));
      AddMustHavePages(images, &task);
    }
    image_.description_.tasks.push_back(std::move(task));
    return absl::OkStatus();
  }

 private:
  absl::Status AddPages(const TaskImage& images, TaskDescription* task) {
    std::vector<LocatedPages> located;
    for (const PagemapEntry& entry : images.pagemaps().newest().entries) {
      for (PageRange pages : images.ServedPages(entry)) {
        located.clear();
        RETURN_IF_ERROR(images.pagemaps().Locate(pages, &located));
        if (entry.flags.in_parent && !entry.flags.lazy) {
          image_.has_lazy_parent_pages_ = true;
        }
        AddExtent(pages, task);
        for (const LocatedPages& run : located) {
          if (run.file == nullptr && mode_ == OpenMode::kRequireContents) {
            return NoContents(task->pid, run.pages);
          }
          AddSegment(run);
        }
      }
    }
    return absl::OkStatus();
  }

  // Entries that are neighbours in one region become one extent: they are
  // neighbours in the image as well.
  void AddExtent(PageRange pages, TaskDescription* task) {
    ImagePage next(image_.description_.page_count.raw());
    bool neighbours = !task->extents.empty() &&
                      task->extents.back().pages.limit() == pages.first &&
                      !StartsRegion(*task, pages.first);
    if (neighbours) {
      PageCount& count = task->extents.back().pages.count;
      count = count + pages.count;
    } else {
      task->extents.push_back({pages, next});
    }
  }

  void AddMustHavePages(const TaskImage& images, TaskDescription* task) const {
    std::vector<uint64_t> words = images.kernel_words();
    for (uint64_t head : images.robust_lists()) {
      const std::vector<uint64_t> of_list = WordsOfRobustList(
          head, [&](uint64_t address) { return ReadWord(*task, address); });
      words.insert(words.end(), of_list.begin(), of_list.end());
    }
    std::vector<PageId>& pages = task->must_have_pages;
    for (uint64_t word : words) {
      const PageId page = PageContaining(word);
      if (FindExtent(*task, page) != nullptr) pages.push_back(page);
    }
    std::sort(pages.begin(), pages.end());
    pages.erase(std::unique(pages.begin(), pages.end()), pages.end());
  }

  static const ImageExtent* FindExtent(const TaskDescription& task,
                                       PageId page) {
    auto extent = std::partition_point(
        task.extents.begin(), task.extents.end(),
        [page](const ImageExtent& e) { return e.pages.limit() <= page; });
    return extent != task.extents.end() && extent->pages.Contains(page)
               ? &*extent
               : nullptr;
  }

  // Of a page to be served whose contents are here.
  std::optional<uint64_t> ReadWord(const TaskDescription& task,
                                   uint64_t address) const {
    const PageId page = PageContaining(address);
    const ImageExtent* extent = FindExtent(task, page);
    if (extent == nullptr || address % sizeof(uint64_t) != 0) {
      return std::nullopt;
    }
    const ImagePage image = extent->image + (page - extent->pages.first);
    const Segment& segment = image_.SegmentOf(image);
    if (segment.file == nullptr) return std::nullopt;
    std::array<std::byte, kPageSize> contents;
    const PageCount offset = segment.offset + (image - segment.range.first);
    if (!segment.file->Read(offset, absl::MakeSpan(contents)).ok()) {
      return std::nullopt;
    }
    uint64_t word = 0;
    std::memcpy(&word, contents.data() + address % kPageSize, sizeof(word));
    return word;
  }

  static bool StartsRegion(const TaskDescription& task, PageId page) {
    auto region = std::lower_bound(
        task.lazy_regions.begin(), task.lazy_regions.end(), page,
        [](const PageRange& r, PageId p) { return r.first < p; });
    return region != task.lazy_regions.end() && region->first == page;
  }

  void AddSegment(const LocatedPages& run) {
    PageCount& total = image_.description_.page_count;
    if (!image_.segments_.empty() && Continues(image_.segments_.back(), run)) {
      PageCount& count = image_.segments_.back().range.count;
      count = count + run.pages.count;
    } else {
      image_.segments_.push_back(
          {{ImagePage(total.raw()), run.pages.count}, run.file, run.offset});
    }
    total = total + run.pages.count;
  }

  static bool Continues(const Segment& segment, const LocatedPages& run) {
    return segment.file == run.file &&
           (run.file == nullptr ||
            segment.offset + segment.range.count == run.offset);
  }

  CheckpointImage& image_;
  const OpenMode mode_;
};

absl::StatusOr<std::shared_ptr<const CheckpointImage>> CheckpointImage::Open(
    const std::string& directory, OpenMode mode) {
  ASSIGN_OR_RETURN(CheckpointMetadata metadata,
                   CheckpointMetadata::Read(directory));
  // Not make_shared: the constructor is private.
  std::shared_ptr<CheckpointImage> image(new CheckpointImage);
  Builder builder(image.get(), mode);
  for (const TaskRecord& task : metadata.tasks) {
    RETURN_IF_ERROR(Annotate(builder.AddTask(task, metadata), directory));
  }
  ASSIGN_OR_RETURN(
      image->description_.content_id,
      ContentIdOf(metadata.directory(), image->description_.tasks));
  RETURN_IF_ERROR(Annotate(image->description_.Validate(), directory));
  if (mode == OpenMode::kRequireContents) {
    ASSIGN_OR_RETURN(
        image->seal_,
        PageSeal::Read(metadata.directory(), image->description_.content_id,
                       image->description_.page_count));
  }
  return std::shared_ptr<const CheckpointImage>(std::move(image));
}

const CheckpointImage::Segment& CheckpointImage::SegmentOf(
    ImagePage page) const {
  auto next = std::upper_bound(
      segments_.begin(), segments_.end(), page,
      [](ImagePage p, const Segment& s) { return p < s.range.first; });
  return *std::prev(next);
}

absl::StatusOr<PageCount> CheckpointImage::Read(
    ImageRange range, absl::Span<std::byte> buffer) const {
  uint64_t total = description_.page_count.raw();
  if (range.empty() || range.first.raw() >= total ||
      range.count.raw() > total - range.first.raw()) {
    return absl::OutOfRangeError(
        absl::StrCat("image pages from ", range.first.raw(), ", ",
                     range.count.raw(), " of them, of an image of ", total));
  }
  const Segment& segment = SegmentOf(range.first);
  const ImageRange part = segment.range.Intersect(range);
  if (segment.file == nullptr) {
    return absl::NotFoundError(absl::StrCat("image pages ", ToString(part),
                                            " are with the page server"));
  }
  const PageCount count =
      std::min(part.count, PageCount(buffer.size() / kPageSize));
  return segment.file->Read(segment.offset + (part.first - segment.range.first),
                            buffer.first(count.bytes()));
}

PagesCheck CheckpointImage::Verify(ImagePage first,
                                   absl::Span<const std::byte> pages) const {
  const PageCount count(pages.size() / kPageSize);
  if (!seal_.has_value()) return {count, absl::OkStatus()};
  const PageCount unchanged = seal_->Unchanged(first, pages);
  if (PageCount(0) < unchanged) return {unchanged, absl::OkStatus()};
  return {PageCount(1),
          absl::DataLossError(absl::StrCat(
              "image page ", first.raw(), " of content id ",
              description_.content_id,
              " is not what it was when the image was sealed: was it damaged "
              "on its disk, or when it was copied?"))};
}

void CheckpointImage::WillNeed(ImageRange range) const {
  while (!range.empty()) {
    const Segment& segment = SegmentOf(range.first);
    const ImageRange part = segment.range.Intersect(range);
    if (segment.file != nullptr) {
      segment.file->WillNeed(
          segment.offset + (part.first - segment.range.first), part.count);
    }
    range = ImageRange::Between(part.limit(), range.limit());
  }
}

PagesCheck CheckpointImage::Check(ImageRange range) const {
  const Segment& segment = SegmentOf(range.first);
  CHECK(segment.file != nullptr) << "no file has contents of " << range;
  const ImageRange part = segment.range.Intersect(range);
  return segment.file->Check(
      segment.offset + (part.first - segment.range.first), part.count);
}

}  // namespace pagelift
