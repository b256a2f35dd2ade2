#include "lib/source/image_description.h"

#include <algorithm>
#include <set>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "lib/base/status_macros.h"
#include "lib/base/sys_error.h"

namespace pagelift {
namespace {

constexpr uint64_t kMostPages = uint64_t{1} << (57 - kPageShift);
constexpr size_t kLongestContentId = 128;

// False as well for ranges whose limit would wrap around.
template <typename Number>
bool IsBelow(const NumberRange<Number>& range, uint64_t limit) {
  return range.count.raw() <= limit &&
         range.first.raw() <= limit - range.count.raw();
}

absl::Status CheckContentId(const std::string& id) {
  bool plain = std::all_of(id.begin(), id.end(), [](unsigned char c) {
    return absl::ascii_isalnum(c) || c == '-' || c == '_';
  });
  if (id.empty() || id.size() > kLongestContentId || !plain) {
    return absl::InvalidArgumentError(
        "the content id is not 1 to 128 letters and digits");
  }
  return absl::OkStatus();
}

// The next `what` of a task: not empty, below what can be mapped, and not
// before `least`, which moves on to its limit.
absl::Status CheckNext(absl::string_view what, PageRange range, PageId& least) {
  if (range.empty() || !IsBelow(range, kMostPages)) {
    return absl::InvalidArgumentError(
        absl::StrCat(what, " from page ", range.first.raw(), " with ",
                     range.count.raw(), " pages is impossible"));
  }
  if (range.first < least) {
    return absl::InvalidArgumentError(
        absl::StrCat(what, " ", ToString(range), " overlaps the ", what,
                     " before it or is out of order"));
  }
  least = range.limit();
  return absl::OkStatus();
}

absl::Status CheckRegions(const std::vector<PageRange>& regions) {
  PageId least;
  for (const PageRange& region : regions) {
    RETURN_IF_ERROR(CheckNext("region", region, least));
  }
  return absl::OkStatus();
}

// REQUIRES: CheckRegions(task.lazy_regions).ok().
absl::Status CheckExtents(const TaskDescription& task, PageCount page_count) {
  auto region = task.lazy_regions.begin();
  PageId least;
  for (const ImageExtent& extent : task.extents) {
    const PageRange& pages = extent.pages;
    RETURN_IF_ERROR(CheckNext("extent", pages, least));
    while (region != task.lazy_regions.end() &&
           region->limit() <= pages.first) {
      ++region;
    }
    if (region == task.lazy_regions.end() || !region->Contains(pages)) {
      return absl::InvalidArgumentError(absl::StrCat(
          "extent ", ToString(pages), " is not inside one lazy region"));
    }
    if (!IsBelow(ImageRange{extent.image, pages.count}, page_count.raw())) {
      return absl::InvalidArgumentError(absl::StrCat(
          "extent ", ToString(pages), " wants image pages from ",
          extent.image.raw(), " of an image of ", page_count.raw()));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckMustHavePages(const TaskDescription& task) {
  auto extent = task.extents.begin();
  PageId least;
  for (PageId page : task.must_have_pages) {
    while (extent != task.extents.end() && extent->pages.limit() <= page) {
      ++extent;
    }
    if (page < least || extent == task.extents.end() ||
        !extent->pages.Contains(page)) {
      return absl::InvalidArgumentError(
          absl::StrCat("the must-have page ", page.raw(),
                       " is not one to be served or is out of order"));
    }
    least = page + PageCount(1);
  }
  return absl::OkStatus();
}

absl::Status CheckImagePagesAreUsedOnce(const TaskDescription& task) {
  std::vector<ImageRange> used;
  used.reserve(task.extents.size());
  for (const ImageExtent& extent : task.extents) {
    used.push_back({extent.image, extent.pages.count});
  }
  std::sort(used.begin(), used.end(),
            [](const auto& a, const auto& b) { return a.first < b.first; });
  for (size_t i = 1; i < used.size(); ++i) {
    if (used[i].first < used[i - 1].limit()) {
      return absl::InvalidArgumentError(
          absl::StrCat("image pages ", ToString(used[i]),
                       " are used by two extents of one task"));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckTask(const TaskDescription& task, PageCount page_count) {
  if (task.pid <= 0) {
    return absl::InvalidArgumentError("the pid is not positive");
  }
  if (task.zombie && !(task.lazy_regions.empty() && task.extents.empty() &&
                       task.must_have_pages.empty())) {
    return absl::InvalidArgumentError("a zombie has memory");
  }
  RETURN_IF_ERROR(CheckRegions(task.lazy_regions));
  RETURN_IF_ERROR(CheckExtents(task, page_count));
  RETURN_IF_ERROR(CheckMustHavePages(task));
  return CheckImagePagesAreUsedOnce(task);
}

}  // namespace

PageCount TaskDescription::lazy_pages() const {
  PageCount sum;
  for (const ImageExtent& extent : extents) sum = sum + extent.pages.count;
  return sum;
}

const TaskDescription* ImageDescription::FindTask(int32_t pid) const {
  auto found =
      std::find_if(tasks.begin(), tasks.end(),
                   [pid](const auto& task) { return task.pid == pid; });
  return found == tasks.end() ? nullptr : &*found;
}

absl::Status ImageDescription::Validate() const {
  RETURN_IF_ERROR(CheckContentId(content_id));
  if (PageCount(kMostPages) < page_count) {
    return absl::InvalidArgumentError(
        absl::StrCat("an image of ", page_count.raw(), " pages is impossible"));
  }
  std::set<int32_t> pids;
  for (const TaskDescription& task : tasks) {
    RETURN_IF_ERROR(
        Annotate(CheckTask(task, page_count), absl::StrCat("task ", task.pid)));
    if (!pids.insert(task.pid).second) {
      return absl::InvalidArgumentError(
          absl::StrCat("task ", task.pid, " is there twice"));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckSameCheckpoint(const std::string& source,
                                 const ImageDescription& description,
                                 const std::string& expected) {
  if (description.content_id == expected) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(
      source, " has another checkpoint (content id ", description.content_id,
      ") than the image directory (", expected,
      "): restoring would mix the two. Check the image's name"));
}

}  // namespace pagelift
