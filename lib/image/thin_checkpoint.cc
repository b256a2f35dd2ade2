#include "lib/image/thin_checkpoint.h"

#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <memory>
#include <set>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "lib/base/byte_span.h"
#include "lib/base/status_macros.h"
#include "lib/base/sys_error.h"
#include "lib/base/unique_fd.h"
#include "lib/base/write_all.h"
#include "lib/image/checkpoint_image.h"
#include "lib/image/checkpoint_metadata.h"
#include "lib/image/image_directory.h"
#include "lib/image/pagemap_chain.h"
#include "lib/image/pagemap_writer.h"
#include "lib/image/staged_directory.h"
#include "lib/image/task_image.h"

namespace pagelift {
namespace {

constexpr PageCount kBufferPages(256);

// Writes one pagemap and its pages file anew.
class Thinner {
 public:
  Thinner(const StagedDirectory& out, ThinCheckpoint* made)
      : out_(out), made_(*made) {}

  // `task` is null if it is no task's: nothing of it is served.
  absl::Status Write(const std::string& name, const PagemapChain& chain,
                     const TaskImage* task) {
    const Pagemap& pagemap = chain.newest();
    PagemapWriter writer(pagemap.pages_id, pagemap.counts);
    ASSIGN_OR_RETURN(const UniqueFd pages,
                     out_.CreateFile(PagesName(pagemap.pages_id)));
    for (const PagemapEntry& entry : pagemap.entries) {
      for (const TaskImage::Part& part : PartsOf(entry, task)) {
        // Restore leaves alone what is marked lazy, served or not.
        if (part.served || entry.flags.lazy) {
          writer.Add(part.pages, kLazyWithoutContents);
          RETURN_IF_ERROR(LeaveOut(chain, part.pages));
          continue;
        }
        PagemapFlags present;
        present.present = true;
        writer.Add(part.pages, present);
        RETURN_IF_ERROR(CopyPages(chain, part.pages, pages.get()));
      }
    }
    made_.bytes += writer.contents().size();
    return out_.WriteFile(name, writer.contents());
  }

  static std::string PagesName(uint32_t pages_id) {
    return absl::StrCat("pages-", pages_id, ".img");
  }

 private:
  static std::vector<TaskImage::Part> PartsOf(const PagemapEntry& entry,
                                              const TaskImage* task) {
    if (task != nullptr) return task->PartsOf(entry);
    return {{entry.pages, /*served=*/false}};
  }

  absl::Status LeaveOut(const PagemapChain& chain, PageRange pages) {
    std::vector<LocatedPages> runs;
    RETURN_IF_ERROR(chain.Locate(pages, &runs));
    for (const LocatedPages& run : runs) {
      if (run.file == nullptr) continue;
      made_.left_out = made_.left_out + run.pages.count;
    }
    return absl::OkStatus();
  }

  absl::Status CopyPages(const PagemapChain& chain, PageRange pages, int to) {
    std::vector<LocatedPages> runs;
    RETURN_IF_ERROR(chain.Locate(pages, &runs));
    for (LocatedPages& run : runs) {
      if (run.file == nullptr) {
        return absl::FailedPreconditionError(absl::StrCat(
            "pages ", ToString(run.pages), ", which criu itself has to read, ",
            "have no contents here: make the thin checkpoint where all of "
            "them are"));
      }
      made_.bytes += run.pages.count.bytes();
      while (!run.pages.empty()) {
        const PageCount most = std::min(run.pages.count, kBufferPages);
        ASSIGN_OR_RETURN(
            const PageCount read,
            run.file->Read(run.offset, {buffer_.get(), most.bytes()}));
        RETURN_IF_ERROR(WriteAll(to, ByteSpan(buffer_.get(), read.bytes())));
        run.offset = run.offset + read;
        run.pages =
            PageRange::Between(run.pages.first + read, run.pages.limit());
      }
    }
    return absl::OkStatus();
  }

  const StagedDirectory& out_;
  ThinCheckpoint& made_;
  const std::unique_ptr<std::byte[]> buffer_ =
      std::make_unique<std::byte[]>(kBufferPages.bytes());
};

bool IsPagemap(const std::string& name) {
  return absl::StartsWith(name, "pagemap-") && absl::EndsWith(name, ".img");
}

absl::Status WritePagemaps(const CheckpointMetadata& metadata,
                           const std::vector<std::string>& names,
                           const StagedDirectory& out,
                           std::set<std::string>* done, ThinCheckpoint* made) {
  Thinner thinner(out, made);
  const auto write = [&](const std::string& name, const PagemapChain& chain,
                         const TaskImage* task) {
    done->insert(name);
    done->insert(Thinner::PagesName(chain.newest().pages_id));
    return Annotate(thinner.Write(name, chain, task), name);
  };
  for (const TaskRecord& record : metadata.tasks) {
    if (record.zombie) continue;
    ASSIGN_OR_RETURN(const TaskImage task,
                     TaskImage::Open(metadata.chain, record));
    RETURN_IF_ERROR(write(absl::StrCat("pagemap-", record.pid, ".img"),
                          task.pagemaps(), &task));
  }
  // Those of shared memory, which restore reads itself.
  for (const std::string& name : names) {
    if (!IsPagemap(name) || done->count(name) > 0) continue;
    ASSIGN_OR_RETURN(const PagemapChain chain,
                     PagemapChain::Open(metadata.chain, name, name));
    RETURN_IF_ERROR(write(name, chain, nullptr));
  }
  return absl::OkStatus();
}

// What people mean by a directory's name, links followed.
absl::StatusOr<std::filesystem::path> Canonical(const std::string& path) {
  std::error_code error;
  std::filesystem::path canonical = std::filesystem::canonical(path, error);
  if (error) return SysErrorOf(error.value(), "find ", path);
  return canonical;
}

absl::Status CheckNotInside(const std::string& images, const std::string& out) {
  ASSIGN_OR_RETURN(const std::filesystem::path inner, Canonical(FolderOf(out)));
  ASSIGN_OR_RETURN(const std::filesystem::path outer, Canonical(images));
  const auto [rest, ignored] =
      std::mismatch(outer.begin(), outer.end(), inner.begin(), inner.end());
  if (rest != outer.end()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(out, " would be inside the checkpoint ", images,
                   ": name a directory "
                   "elsewhere"));
}

}  // namespace

absl::StatusOr<ThinCheckpoint> WriteThinCheckpoint(const std::string& images,
                                                   const std::string& out) {
  ThinCheckpoint made;
  {
    ASSIGN_OR_RETURN(const std::shared_ptr<const CheckpointImage> original,
                     CheckpointImage::Open(images, OpenMode::kLayoutOnly));
    made.content_id = original->description().content_id;
    made.with_a_server = original->description().page_count;
  }
  ASSIGN_OR_RETURN(const CheckpointMetadata metadata,
                   CheckpointMetadata::Read(images));
  const ImageDirectory& directory = metadata.directory();
  RETURN_IF_ERROR(CheckNotInside(images, out));
  ASSIGN_OR_RETURN(StagedDirectory staged, StagedDirectory::Make(out));
  ASSIGN_OR_RETURN(const std::vector<std::string> names, directory.List());
  std::set<std::string> done;
  RETURN_IF_ERROR(
      Annotate(WritePagemaps(metadata, names, staged, &done, &made), images));
  for (const std::string& name : names) {
    if (done.count(name) > 0 || !IsImageFile(directory, name)) continue;
    ASSIGN_OR_RETURN(const uint64_t bytes, staged.CopyFile(directory, name));
    made.bytes += bytes;
  }
  ASSIGN_OR_RETURN(
      const std::shared_ptr<const CheckpointImage> thin,
      CheckpointImage::Open(staged.staged_path(), OpenMode::kLayoutOnly));
  if (thin->description().content_id != made.content_id) {
    return absl::AbortedError(absl::StrCat(
        images, " changed while it was read: is somebody dumping into it?"));
  }
  RETURN_IF_ERROR(staged.Publish());
  return made;
}

}  // namespace pagelift
