#include "lib/image/received_dump.h"

#include "absl/strings/str_cat.h"
#include "lib/base/status_macros.h"
#include "lib/base/sys_error.h"
#include "lib/base/write_all.h"

namespace pagelift {
namespace {

// Where CRIU's own page server begins: no dump has so many pages files.
constexpr uint32_t kFirstPagesId = 0x10001;
// So that the pagemap stays one that we read: it is kept in memory, too.
constexpr size_t kMostPagemapBytes = size_t{512} << 20;

}  // namespace

absl::StatusOr<ReceivedDump> ReceivedDump::Start(const std::string& path) {
  ASSIGN_OR_RETURN(StagedDirectory directory, StagedDirectory::Make(path));
  return ReceivedDump(std::move(directory));
}

absl::Status ReceivedDump::OpenTask(int32_t pid) {
  return OpenPagemap(absl::StrCat("pagemap-", pid, ".img"));
}

absl::Status ReceivedDump::OpenSharedMemory(uint64_t id) {
  return OpenPagemap(absl::StrCat("pagemap-shmem-", id, ".img"));
}

absl::Status ReceivedDump::OpenPagemap(const std::string& name) {
  RETURN_IF_ERROR(FinishPagemap());
  if (objects_ == kMostObjects) {
    return absl::ResourceExhaustedError(
        absl::StrCat("more than ", kMostObjects, " tasks"));
  }
  const uint32_t pages_id = kFirstPagesId + objects_;
  absl::StatusOr<UniqueFd> pagemap = directory_.CreateFile(name);
  if (absl::IsAlreadyExists(pagemap.status())) {
    return absl::InvalidArgumentError(absl::StrCat(name, " comes twice"));
  }
  RETURN_IF_ERROR(pagemap.status());
  ASSIGN_OR_RETURN(UniqueFd pages, directory_.CreateFile(absl::StrCat(
                                       "pages-", pages_id, ".img")));
  // Which CRIU will read it is not known.
  open_.emplace(Open{name, PagemapWriter(pages_id, PagemapCounts::kOld),
                     *std::move(pagemap), std::move(pages), PageId(0)});
  ++objects_;
  return absl::OkStatus();
}

absl::Status ReceivedDump::FinishPagemap() {
  if (!open_.has_value()) return absl::OkStatus();
  if (open_->missing > 0) {
    return absl::InvalidArgumentError(absl::StrCat(
        open_->name, " lacks ", open_->missing, " bytes of its pages"));
  }
  RETURN_IF_ERROR(Annotate(
      WriteAll(open_->pagemap.get(), open_->writer.contents()), open_->name));
  open_.reset();
  return absl::OkStatus();
}

absl::Status ReceivedDump::Add(PageRange pages, bool lazy) {
  if (!open_.has_value()) return absl::InvalidArgumentError("nothing is open");
  if (open_->missing > 0 || pages.first < open_->next) {
    return absl::InvalidArgumentError(
        absl::StrCat("pages ", ToString(pages), " of ", open_->name,
                     " are out of order, or come twice"));
  }
  if (open_->writer.contents().size() > kMostPagemapBytes) {
    return absl::ResourceExhaustedError(
        absl::StrCat(open_->name, " becomes too large"));
  }
  open_->writer.Add(pages, {/*in_parent=*/false, lazy, /*present=*/true});
  open_->next = pages.limit();
  open_->missing = pages.count.bytes();
  pages_ = pages_ + pages.count;
  return absl::OkStatus();
}

absl::Status ReceivedDump::Append(absl::Span<const std::byte> contents) {
  if (!open_.has_value() || contents.size() > open_->missing) {
    return absl::InvalidArgumentError("contents of pages that nobody named");
  }
  RETURN_IF_ERROR(Annotate(WriteAll(open_->pages.get(), contents),
                           absl::StrCat("pages of ", open_->name)));
  open_->missing -= contents.size();
  return absl::OkStatus();
}

absl::Status ReceivedDump::Publish() {
  RETURN_IF_ERROR(FinishPagemap());
  return directory_.Publish();
}

}  // namespace pagelift
