#include "lib/image/pagemap.h"

#include <optional>

#include "absl/strings/str_cat.h"
#include "criu/pagemap.pb.h"
#include "lib/base/status_macros.h"
#include "lib/image/image_file.h"

namespace pagelift {
namespace {

constexpr uint32_t kInParent = 1;
constexpr uint32_t kLazy = 2;
constexpr uint32_t kPresent = 4;
constexpr uint64_t kAddressLimit = uint64_t{1} << 57;
constexpr int kGreatestField = 5;

uint32_t FlagsOf(const criu::PagemapEntry& entry) {
  if (entry.in_parent()) return entry.flags() | kInParent;
  return entry.has_flags() ? entry.flags() : kPresent;
}

absl::StatusOr<PagemapFlags> DecodeFlags(const ImageFile& file,
                                         const ImageRecord& record,
                                         const criu::PagemapEntry& entry) {
  uint32_t bits = FlagsOf(entry);
  PagemapFlags flags;
  flags.in_parent = (bits & kInParent) != 0;
  flags.lazy = (bits & kLazy) != 0;
  flags.present = (bits & kPresent) != 0;
  bool known = bits != 0 && (bits & ~(kInParent | kLazy | kPresent)) == 0;
  if (!known || (flags.in_parent && flags.present)) {
    return file.Corrupt(record,
                        absl::StrCat("has flags ", bits, " for address 0x",
                                     absl::Hex(entry.address()),
                                     ", which CRIU up to 4.2 does not write"));
  }
  return flags;
}

absl::StatusOr<PageRange> DecodeRange(const ImageFile& file,
                                      const ImageRecord& record,
                                      const criu::PagemapEntry& entry) {
  uint64_t address = entry.address();
  uint64_t count =
      entry.has_page_count() ? entry.page_count() : entry.old_page_count();
  if (!entry.has_address() || address % kPageSize != 0 || count == 0 ||
      address >= kAddressLimit ||
      count > (kAddressLimit - address) >> kPageShift) {
    return file.Corrupt(
        record, absl::StrCat("has ", count, " pages at address 0x",
                             absl::Hex(address), ", which is impossible"));
  }
  return PageRange{PageContaining(address), PageCount(count)};
}

absl::Status AppendEntry(const ImageFile& file, const ImageRecord& record,
                         Pagemap* pagemap) {
  criu::PagemapEntry message;
  RETURN_IF_ERROR(file.Decode(record, &message));
  RETURN_IF_ERROR(file.CheckNoFieldsAbove(kGreatestField, record, message));
  PagemapEntry entry;
  ASSIGN_OR_RETURN(entry.pages, DecodeRange(file, record, message));
  ASSIGN_OR_RETURN(entry.flags, DecodeFlags(file, record, message));
  if (!pagemap->entries.empty() &&
      entry.pages.first < pagemap->entries.back().pages.limit()) {
    return file.Corrupt(record,
                        absl::StrCat("has pages ", ToString(entry.pages),
                                     " out of order or over those before it"));
  }
  if (entry.flags.present) {
    entry.offset = pagemap->present_pages;
    pagemap->present_pages = pagemap->present_pages + entry.pages.count;
  }
  pagemap->has_parent_pages |= entry.flags.in_parent;
  if (message.has_page_count()) pagemap->counts = PagemapCounts::kNew;
  pagemap->entries.push_back(entry);
  return absl::OkStatus();
}

}  // namespace

uint32_t BitsOf(PagemapFlags flags) {
  return (flags.in_parent ? kInParent : 0) | (flags.lazy ? kLazy : 0) |
         (flags.present ? kPresent : 0);
}

absl::StatusOr<Pagemap> DecodePagemap(const std::string& name,
                                      std::string_view contents) {
  ASSIGN_OR_RETURN(ImageFile file,
                   ImageFile::Parse(name, contents, ImageKind::kPagemap));
  ASSIGN_OR_RETURN(std::optional<ImageRecord> first, file.Next());
  if (!first) {
    return absl::DataLossError(absl::StrCat(
        name,
        " has no head: the copy is incomplete; copy the checkpoint again"));
  }
  criu::PagemapHead head;
  RETURN_IF_ERROR(file.Decode(*first, &head));
  RETURN_IF_ERROR(file.CheckNoFieldsAbove(1, *first, head));
  if (!head.has_pages_id()) return file.Corrupt(*first, "has no pages id");
  Pagemap pagemap;
  pagemap.pages_id = head.pages_id();
  while (true) {
    ASSIGN_OR_RETURN(std::optional<ImageRecord> record, file.Next());
    if (!record) return pagemap;
    RETURN_IF_ERROR(AppendEntry(file, *record, &pagemap));
  }
}

}  // namespace pagelift
