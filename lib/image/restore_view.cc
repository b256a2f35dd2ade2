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
#include "absl/strings/str_cat.h"
#include "lib/base/status_macros.h"
#include "lib/base/sys_error.h"
#include "lib/base/unique_fd.h"
#include "lib/base/write_all.h"
#include "lib/image/checkpoint_metadata.h"
#include "lib/image/image_directory.h"
#include "lib/image/pagemap_writer.h"
#include "lib/image/task_image.h"

namespace pagelift {
namespace {

// The pagemap of a task for the view; nothing if it can stay as it is.
std::optional<std::string> RewritePagemap(const TaskImage& task) {
  const Pagemap& pagemap = task.pagemaps().newest();
  PagemapWriter rewritten(pagemap.pages_id, pagemap.counts);
  bool changed = false;
  for (const PagemapEntry& entry : pagemap.entries) {
    if (entry.flags.lazy || !entry.flags.in_parent) {
      rewritten.Add(entry.pages, entry.flags);
      continue;
    }
    for (const TaskImage::Part& part : task.PartsOf(entry)) {
      rewritten.Add(part.pages,
                    part.served ? kLazyWithoutContents : entry.flags);
      changed |= part.served;
    }
  }
  if (!changed) return std::nullopt;
  return rewritten.contents();
}

// The pagemaps that differ in the view, by name.
absl::StatusOr<std::map<std::string, std::string>> RewritePagemaps(
    const CheckpointMetadata& metadata) {
  std::map<std::string, std::string> rewritten;
  for (const TaskRecord& record : metadata.tasks) {
    if (record.zombie) continue;
    ASSIGN_OR_RETURN(TaskImage task, TaskImage::Open(metadata.chain, record));
    if (!task.pagemaps().newest().has_parent_pages) continue;
    std::optional<std::string> pagemap = RewritePagemap(task);
    if (!pagemap) continue;
    rewritten[absl::StrCat("pagemap-", record.pid, ".img")] =
        *std::move(pagemap);
  }
  return rewritten;
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
  return Annotate(WriteAll(fd.get(), contents), path);
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
    if (!IsOfTheImage(name)) continue;
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
