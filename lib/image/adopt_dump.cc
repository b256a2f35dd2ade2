#include "lib/image/adopt_dump.h"

#include <map>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "lib/base/status_macros.h"
#include "lib/base/sys_error.h"
#include "lib/image/checkpoint_image.h"
#include "lib/image/checkpoint_metadata.h"
#include "lib/image/dump_stats.h"
#include "lib/image/image_directory.h"
#include "lib/image/memory_layout.h"
#include "lib/image/pagemap.h"
#include "lib/image/staged_directory.h"

namespace pagelift {
namespace {

constexpr char kStats[] = "stats-dump";
constexpr char kShared[] = "pagemap-shmem-";
constexpr char kPagemap[] = "pagemap-";
constexpr char kPages[] = "pages-";

bool IsOfPages(const std::string& name) {
  return absl::StartsWith(name, kPagemap) || absl::StartsWith(name, kPages);
}

// What the images tell of the pages that belong to them.
struct Expectation {
  std::map<std::string, MemoryLayout> layouts;  // By the pagemap's name.
  std::optional<DumpStats> stats;

  static absl::StatusOr<Expectation> Of(const CheckpointMetadata& images) {
    const ImageDirectory& directory = images.directory();
    Expectation expected;
    for (const TaskRecord& task : images.tasks) {
      if (task.zombie) continue;
      const std::string name = absl::StrCat("mm-", task.pid, ".img");
      ASSIGN_OR_RETURN(const std::string contents, directory.ReadFile(name));
      ASSIGN_OR_RETURN(MemoryLayout layout,
                       DecodeMemoryLayout(directory.PathOf(name), contents));
      expected.layouts.emplace(absl::StrCat(kPagemap, task.pid, ".img"),
                               std::move(layout));
    }
    if (directory.Has(kStats)) {
      ASSIGN_OR_RETURN(const std::string contents, directory.ReadFile(kStats));
      ASSIGN_OR_RETURN(expected.stats,
                       DecodeDumpStats(directory.PathOf(kStats), contents));
    }
    return expected;
  }
};

absl::Status DoesNotFit(const std::string& why) {
  return absl::FailedPreconditionError(why);
}

absl::Status CheckMapped(const std::string& name, const Pagemap& pagemap,
                         const MemoryLayout& layout) {
  for (const PagemapEntry& entry : pagemap.entries) {
    const std::optional<PageId> outside = layout.FirstNotMapped(entry.pages);
    if (!outside.has_value()) continue;
    return DoesNotFit(absl::StrCat(name, " has a page at 0x",
                                   absl::Hex(AddressOf(*outside)),
                                   ", where its task has no memory"));
  }
  return absl::OkStatus();
}

absl::Status CheckCount(const char* what, PageCount pages, PageCount sent) {
  if (pages == sent) return absl::OkStatus();
  return DoesNotFit(absl::StrCat("it has ", pages.raw(), " pages of ", what,
                                 ", and the dump sent ", sent.raw()));
}

// Whether the pages in `dump` are those that are expected; returns how many.
absl::StatusOr<PageCount> CheckFits(const Expectation& expected,
                                    const ImageDirectory& dump) {
  ASSIGN_OR_RETURN(const std::vector<std::string> names, dump.List());
  size_t tasks = 0;
  DumpStats found;
  for (const std::string& name : names) {
    if (!absl::StartsWith(name, kPagemap)) continue;
    ASSIGN_OR_RETURN(const std::string contents, dump.ReadFile(name));
    ASSIGN_OR_RETURN(const Pagemap pagemap,
                     DecodePagemap(dump.PathOf(name), contents));
    if (absl::StartsWith(name, kShared)) {
      found.shared_pages = found.shared_pages + pagemap.present_pages;
      continue;
    }
    found.task_pages = found.task_pages + pagemap.present_pages;
    const auto layout = expected.layouts.find(name);
    if (layout == expected.layouts.end()) {
      return DoesNotFit(absl::StrCat(name,
                                     " is of a task that the images do "
                                     "not have"));
    }
    RETURN_IF_ERROR(CheckMapped(name, pagemap, layout->second));
    ++tasks;
  }
  if (tasks != expected.layouts.size()) {
    return DoesNotFit(absl::StrCat("it has pages of ", tasks, " of the ",
                                   expected.layouts.size(), " tasks"));
  }
  if (expected.stats.has_value()) {
    RETURN_IF_ERROR(
        CheckCount("tasks", found.task_pages, expected.stats->task_pages));
    RETURN_IF_ERROR(CheckCount("shared memory", found.shared_pages,
                               expected.stats->shared_pages));
  }
  return found.task_pages + found.shared_pages;
}

// The directories beside `out` that have pages and are no checkpoints.
absl::StatusOr<std::vector<std::string>> FindDumps(const std::string& out) {
  ASSIGN_OR_RETURN(const ImageDirectory directory,
                   ImageDirectory::Open(FolderOf(out)));
  ASSIGN_OR_RETURN(const std::vector<std::string> names, directory.List());
  std::vector<std::string> dumps;
  for (const std::string& name : names) {
    if (absl::StartsWith(name, ".")) continue;
    const absl::StatusOr<ImageDirectory> dump =
        ImageDirectory::Open(directory.PathOf(name));
    if (!dump.ok() || dump->Has("inventory.img")) continue;
    ASSIGN_OR_RETURN(const std::vector<std::string> files, dump->List());
    for (const std::string& file : files) {
      if (!absl::StartsWith(file, kPagemap)) continue;
      dumps.push_back(directory.PathOf(name));
      break;
    }
  }
  return dumps;
}

absl::StatusOr<std::string> FindTheDump(const Expectation& expected,
                                        const std::string& out) {
  ASSIGN_OR_RETURN(const std::vector<std::string> dumps, FindDumps(out));
  std::vector<std::string> fitting;
  std::vector<std::string> others;
  for (const std::string& path : dumps) {
    ASSIGN_OR_RETURN(const ImageDirectory dump, ImageDirectory::Open(path));
    const absl::Status fits = CheckFits(expected, dump).status();
    if (fits.ok()) {
      fitting.push_back(path);
    } else {
      others.push_back(absl::StrCat(path, ": ", fits.message()));
    }
  }
  if (fitting.size() == 1) return fitting.front();
  if (fitting.empty()) {
    return absl::NotFoundError(
        absl::StrCat("no dump beside ", out, " fits the images",
                     others.empty() ? ": a sink has received none there" : "; ",
                     absl::StrJoin(others, "; ")));
  }
  return absl::FailedPreconditionError(absl::StrCat(
      "several dumps fit the images: ", absl::StrJoin(fitting, ", "),
      "; say which by --dump"));
}

}  // namespace

absl::StatusOr<AdoptedDump> AdoptDump(const std::string& images,
                                      const std::string& out,
                                      const std::string& dump) {
  ASSIGN_OR_RETURN(const CheckpointMetadata metadata,
                   CheckpointMetadata::Read(images));
  ASSIGN_OR_RETURN(const std::vector<std::string> names,
                   metadata.directory().List());
  for (const std::string& name : names) {
    if (!IsOfPages(name)) continue;
    return absl::FailedPreconditionError(
        absl::StrCat(images, " has ", name,
                     ", which a sink would have: it was "
                     "not made by criu dump --page-server"));
  }
  ASSIGN_OR_RETURN(StagedDirectory staged, StagedDirectory::Make(out));
  ASSIGN_OR_RETURN(const Expectation expected, Expectation::Of(metadata));
  AdoptedDump adopted;
  adopted.dump = dump;
  if (dump.empty()) {
    ASSIGN_OR_RETURN(adopted.dump, FindTheDump(expected, out));
  }
  ASSIGN_OR_RETURN(const ImageDirectory received,
                   ImageDirectory::Open(adopted.dump));
  const absl::StatusOr<PageCount> pages = CheckFits(expected, received);
  RETURN_IF_ERROR(Annotate(pages.status(), adopted.dump));
  adopted.pages = *pages;
  ASSIGN_OR_RETURN(const std::vector<std::string> parts, received.List());
  for (const std::string& name : parts) {
    if (!IsOfPages(name)) continue;
    RETURN_IF_ERROR(staged.LinkFile(adopted.dump, name));
  }
  for (const std::string& name : names) {
    if (!IsImageFile(metadata.directory(), name)) continue;
    RETURN_IF_ERROR(staged.CopyFile(metadata.directory(), name).status());
  }
  ASSIGN_OR_RETURN(const std::shared_ptr<const CheckpointImage> whole,
                   CheckpointImage::Open(staged.staged_path()));
  adopted.content_id = whole->description().content_id;
  RETURN_IF_ERROR(staged.Publish());
  RETURN_IF_ERROR(Annotate(RemoveFolder(adopted.dump),
                           absl::StrCat(out, " is complete, but ")));
  return adopted;
}

}  // namespace pagelift
