#include "lib/transport/description_proto.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "lib/base/status_macros.h"
#include "lib/base/xxh3.h"

namespace pagelift {
namespace {

// Keeps a part well under gRPC's default message limit of 4 MiB.
constexpr int kRangesPerPart = 50000;

// What a hostile server may make us hold: 64 M ranges are 1.5 GiB, far beyond
// what a kernel lets a process map.
constexpr size_t kMaxRanges = size_t{64} << 20;
// As many as there can be pids.
constexpr uint32_t kMaxTasks = 1 << 22;

bool Wraps(uint64_t first, uint64_t count) { return first + count < first; }

}  // namespace

uint64_t DescriptionChecksum(const ImageDescription& description) {
  Xxh3 hash;
  hash.Add(description.content_id);
  hash.Add(description.page_count.raw());
  hash.Add(description.tasks.size());
  for (const TaskDescription& task : description.tasks) {
    hash.Add(static_cast<uint64_t>(task.pid));
    hash.Add(uint64_t{task.zombie});
    hash.Add(task.lazy_regions.size());
    for (PageRange region : task.lazy_regions) {
      hash.Add(region.first.raw());
      hash.Add(region.count.raw());
    }
    hash.Add(task.extents.size());
    for (const ImageExtent& extent : task.extents) {
      hash.Add(extent.pages.first.raw());
      hash.Add(extent.pages.count.raw());
      hash.Add(extent.image.raw());
    }
    hash.Add(task.must_have_pages.size());
    for (PageId page : task.must_have_pages) hash.Add(page.raw());
  }
  return hash.Get();
}

void DescribeInParts(
    const ImageDescription& description,
    absl::FunctionRef<bool(const v1::OpenImageResponse&)> emit) {
  v1::OpenImageResponse response;
  v1::ImageHeader* header = response.mutable_header();
  header->set_protocol_version(kProtocolVersion);
  header->set_content_id(description.content_id);
  header->set_page_size(kPageSize);
  header->set_page_count(description.page_count.raw());
  header->set_task_count(static_cast<uint32_t>(description.tasks.size()));
  header->set_checksum(v1::CHECKSUM_XXH3_64_BOUND);
  header->set_description_checksum(DescriptionChecksum(description));
  if (!emit(response)) return;

  for (const TaskDescription& task : description.tasks) {
    size_t region = 0;
    size_t extent = 0;
    size_t must_have = 0;
    do {
      response.Clear();
      v1::TaskPart* part = response.mutable_task();
      part->set_pid(task.pid);
      part->set_zombie(task.zombie);
      for (; region < task.lazy_regions.size() &&
             part->lazy_regions_size() < kRangesPerPart;
           ++region) {
        v1::TargetRange* range = part->add_lazy_regions();
        range->set_first_page(task.lazy_regions[region].first.raw());
        range->set_page_count(task.lazy_regions[region].count.raw());
      }
      for (; extent < task.extents.size() &&
             part->lazy_regions_size() + part->extents_size() < kRangesPerPart;
           ++extent) {
        v1::Extent* e = part->add_extents();
        e->set_first_page(task.extents[extent].pages.first.raw());
        e->set_page_count(task.extents[extent].pages.count.raw());
        e->set_image_page(task.extents[extent].image.raw());
      }
      for (; must_have < task.must_have_pages.size() &&
             part->lazy_regions_size() + part->extents_size() +
                     part->must_have_pages_size() <
                 kRangesPerPart;
           ++must_have) {
        part->add_must_have_pages(task.must_have_pages[must_have].raw());
      }
      if (!emit(response)) return;
    } while (region < task.lazy_regions.size() ||
             extent < task.extents.size() ||
             must_have < task.must_have_pages.size());
  }
}

absl::Status DescriptionAssembler::Add(const v1::OpenImageResponse& part) {
  if (part.has_header()) {
    if (has_header_) return absl::InvalidArgumentError("a second header");
    const v1::ImageHeader& header = part.header();
    if (header.protocol_version() != kProtocolVersion) {
      return absl::FailedPreconditionError(absl::StrCat(
          "the page server chose protocol version ", header.protocol_version(),
          ", this program speaks ", kProtocolVersion));
    }
    if (header.page_size() != kPageSize) {
      return absl::FailedPreconditionError(
          absl::StrCat("the image has pages of ", header.page_size(),
                       " bytes, this host of ", kPageSize));
    }
    if (header.checksum() != v1::CHECKSUM_XXH3_64_BOUND) {
      return absl::FailedPreconditionError(
          "the page server uses a checksum that this program does not know");
    }
    if (header.task_count() > kMaxTasks) {
      return absl::InvalidArgumentError("the image has too many tasks");
    }
    has_header_ = true;
    description_.content_id = header.content_id();
    description_.page_count = PageCount(header.page_count());
    task_count_ = header.task_count();
    checksum_ = header.description_checksum();
    return absl::OkStatus();
  }
  if (!has_header_ || !part.has_task()) {
    return absl::InvalidArgumentError("a part without header or task");
  }
  const v1::TaskPart& task_part = part.task();
  std::vector<TaskDescription>& tasks = description_.tasks;
  if (tasks.empty() || tasks.back().pid != task_part.pid()) {
    if (tasks.size() == task_count_) {
      return absl::InvalidArgumentError("more tasks than announced");
    }
    tasks.emplace_back();
    tasks.back().pid = task_part.pid();
    tasks.back().zombie = task_part.zombie();
  }
  TaskDescription& task = tasks.back();
  range_count_ += static_cast<size_t>(task_part.lazy_regions_size()) +
                  static_cast<size_t>(task_part.extents_size()) +
                  static_cast<size_t>(task_part.must_have_pages_size());
  if (range_count_ > kMaxRanges) {
    return absl::ResourceExhaustedError("the image has too many ranges");
  }
  for (const v1::TargetRange& range : task_part.lazy_regions()) {
    if (Wraps(range.first_page(), range.page_count())) {
      return absl::InvalidArgumentError("a region wraps around");
    }
    task.lazy_regions.push_back(
        {PageId(range.first_page()), PageCount(range.page_count())});
  }
  for (const v1::Extent& extent : task_part.extents()) {
    if (Wraps(extent.first_page(), extent.page_count()) ||
        Wraps(extent.image_page(), extent.page_count())) {
      return absl::InvalidArgumentError("an extent wraps around");
    }
    task.extents.push_back(
        {{PageId(extent.first_page()), PageCount(extent.page_count())},
         ImagePage(extent.image_page())});
  }
  for (uint64_t page : task_part.must_have_pages()) {
    task.must_have_pages.push_back(PageId(page));
  }
  return absl::OkStatus();
}

absl::StatusOr<ImageDescription> DescriptionAssembler::Finish() && {
  // First: what is damaged need not be a description either, and is asked for
  // again.
  if (has_header_ && description_.tasks.size() == task_count_ &&
      DescriptionChecksum(description_) != checksum_) {
    return absl::UnavailableError("the description arrived damaged: try again");
  }
  return std::move(*this).FinishWithoutChecksum();
}

absl::StatusOr<ImageDescription>
DescriptionAssembler::FinishWithoutChecksum() && {
  if (!has_header_) {
    return absl::InvalidArgumentError("the description has no header");
  }
  if (description_.tasks.size() != task_count_) {
    return absl::InvalidArgumentError("the description is not complete");
  }
  RETURN_IF_ERROR(description_.Validate());
  return std::move(description_);
}

}  // namespace pagelift
