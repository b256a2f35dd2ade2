#include "lib/image/restore_view.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "criu/pagemap.pb.h"
#include "lib/base/status_macros.h"
#include "lib/base/sys_error.h"
#include "lib/base/unique_fd.h"
#include "lib/image/checkpoint_metadata.h"
#include "lib/image/image_directory.h"
#include "lib/image/image_file.h"
#include "lib/image/task_image.h"
#include "lib/memory/page.h"

namespace pagelift {
namespace {

constexpr uint32_t kLazyWithoutContents = 2;

// The record of `entry`, for other pages: counts are encoded as they were.
std::string EntryRecord(const criu::PagemapEntry& entry, PageRange pages) {
  criu::PagemapEntry part = entry;
  part.set_address(AddressOf(pages.first));
  if (entry.has_page_count()) {
    part.set_page_count(pages.count.raw());
  } else {
    part.set_old_page_count(static_cast<uint32_t>(pages.count.raw()));
  }
  return FramedRecord(part.SerializeAsString());
}

// The records for the pages of `entry`, of which `served` become lazy.
std::string SplitEntry(const criu::PagemapEntry& entry, PageRange pages,
                       const std::vector<PageRange>& served) {
  criu::PagemapEntry lazy = entry;
  lazy.set_flags(kLazyWithoutContents);
  lazy.clear_in_parent();
  std::string records;
  for (PageRange part : served) {
    PageRange before = PageRange::Between(pages.first, part.first);
    if (!before.empty()) records += EntryRecord(entry, before);
    records += EntryRecord(lazy, part);
    pages = PageRange::Between(part.limit(), pages.limit());
  }
  if (!pages.empty()) records += EntryRecord(entry, pages);
  return records;
}

// The pagemap of a task for the view; nothing if it can stay as it is.
absl::StatusOr<std::optional<std::string>> RewritePagemap(
    const std::string& name, const std::string& contents,
    const TaskImage& task) {
  ASSIGN_OR_RETURN(ImageFile file,
                   ImageFile::Parse(name, contents, ImageKind::kPagemap));
  ASSIGN_OR_RETURN(std::optional<ImageRecord> head, file.Next());
  std::string rewritten =
      ImageMagic(ImageKind::kPagemap) + FramedRecord(head->bytes);
  bool changed = false;
  // One record each, in the same order.
  for (const PagemapEntry& entry : task.pagemaps().newest().entries) {
    ASSIGN_OR_RETURN(std::optional<ImageRecord> record, file.Next());
    std::vector<PageRange> served;
    if (entry.flags.in_parent && !entry.flags.lazy) {
      served = task.ServedPages(entry);
    }
    if (served.empty()) {
      rewritten += FramedRecord(record->bytes);
      continue;
    }
    criu::PagemapEntry message;
    RETURN_IF_ERROR(file.Decode(*record, &message));
    rewritten += SplitEntry(message, entry.pages, served);
    changed = true;
  }
  if (!changed) return std::optional<std::string>();
  return std::optional(std::move(rewritten));
}

// The pagemaps that differ in the view, by name.
absl::StatusOr<std::map<std::string, std::string>> RewritePagemaps(
    const CheckpointMetadata& metadata) {
  std::map<std::string, std::string> rewritten;
  for (const TaskRecord& record : metadata.tasks) {
    if (record.zombie) continue;
    ASSIGN_OR_RETURN(TaskImage task, TaskImage::Open(metadata.chain, record));
    if (!task.pagemaps().newest().has_parent_pages) continue;
    std::string name = absl::StrCat("pagemap-", record.pid, ".img");
    ASSIGN_OR_RETURN(std::string contents, metadata.directory().ReadFile(name));
    ASSIGN_OR_RETURN(std::optional<std::string> pagemap,
                     RewritePagemap(name, contents, task));
    if (pagemap) rewritten[name] = *std::move(pagemap);
  }
  return rewritten;
}

// What restore writes, or another program left, is none of the image.
bool BelongsToTheImage(const std::string& name) {
  return !absl::EndsWith(name, ".log") && !absl::EndsWith(name, ".socket") &&
         !absl::EndsWith(name, ".pid") && !absl::StartsWith(name, "stats-");
}

absl::Status MakeEmptyDirectory(const std::string& path) {
  if (mkdir(path.c_str(), 0700) == 0) return absl::OkStatus();
  if (errno != EEXIST) return SysError("make the directory ", path);
  ASSIGN_OR_RETURN(ImageDirectory directory, ImageDirectory::Open(path));
  ASSIGN_OR_RETURN(std::vector<std::string> names, directory.List());
  if (names.empty()) return absl::OkStatus();
  return absl::AlreadyExistsError(
      absl::StrCat(path, " is to become a restore view, but is not empty"));
}

absl::Status WriteNewFile(const std::string& path,
                          const std::string& contents) {
  UniqueFd fd(
      open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!fd.valid()) return SysError("create ", path);
  size_t written = 0;
  while (written < contents.size()) {
    ssize_t n =
        write(fd.get(), contents.data() + written, contents.size() - written);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return SysError("write ", path);
    written += n;
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> AbsolutePath(const std::string& path) {
  char* resolved = realpath(path.c_str(), nullptr);
  if (resolved == nullptr) return SysError("resolve ", path);
  std::string result = resolved;
  free(resolved);
  return result;
}

}  // namespace

bool NeedsRestoreView(const CheckpointImage& image) {
  return image.has_lazy_parent_pages();
}

absl::Status WriteRestoreView(const std::string& images,
                              const std::string& view) {
  ASSIGN_OR_RETURN(CheckpointMetadata metadata,
                   CheckpointMetadata::Read(images));
  auto pagemaps = RewritePagemaps(metadata);
  RETURN_IF_ERROR(Annotate(pagemaps.status(), images));
  ASSIGN_OR_RETURN(std::string target, AbsolutePath(images));
  ASSIGN_OR_RETURN(std::vector<std::string> names, metadata.directory().List());
  RETURN_IF_ERROR(MakeEmptyDirectory(view));
  for (const std::string& name : names) {
    if (!BelongsToTheImage(name)) continue;
    std::string path = absl::StrCat(view, "/", name);
    auto rewritten = pagemaps->find(name);
    if (rewritten != pagemaps->end()) {
      RETURN_IF_ERROR(WriteNewFile(path, rewritten->second));
    } else if (symlink(absl::StrCat(target, "/", name).c_str(), path.c_str()) !=
               0) {
      return SysError("link ", path);
    }
  }
  return absl::OkStatus();
}

}  // namespace pagelift
