#include "lib/image/memory_layout.h"

#include <algorithm>
#include <cstdint>
#include <utility>

#include "absl/strings/str_cat.h"
#include "criu/mm.pb.h"
#include "lib/base/status_macros.h"
#include "lib/image/image_file.h"

namespace pagelift {
namespace {

// Of `flags`: mmap(2)'s, as x86-64 and arm64 number them.
constexpr uint32_t kMapPrivate = 0x02;
constexpr uint32_t kMapAnonymous = 0x20;
constexpr uint32_t kMapLocked = 0x2000;
constexpr uint32_t kMapHugetlb = 0x40000;

// Of `status`.
constexpr uint32_t kRegular = 0x1;
constexpr uint32_t kVsyscall = 0x4;
constexpr uint32_t kVdso = 0x8;
constexpr uint32_t kFilePrivate = 0x40;
constexpr uint32_t kAnonPrivate = 0x200;
constexpr uint32_t kVvar = 0x1000;
constexpr uint32_t kGuard = 0x10000;
constexpr uint32_t kPluginExternal = 0x8000000;

constexpr uint64_t kTaskSize = uint64_t{1} << 56;

// Whether restore registers the mapping: private anonymous memory that it maps
// ahead and moves into place, and that is neither locked nor huge pages.
bool IsRegistered(const criu::Mapping& mapping) {
  uint32_t flags = mapping.flags();
  uint32_t status = mapping.status();
  constexpr uint32_t kNeeded = kMapAnonymous | kMapPrivate;
  return (flags & kNeeded) == kNeeded &&
         (flags & (kMapLocked | kMapHugetlb)) == 0 && (status & kRegular) &&
         (status & (kAnonPrivate | kFilePrivate)) != 0 &&
         (status & (kVsyscall | kVdso | kVvar | kPluginExternal)) == 0 &&
         mapping.limit() <= kTaskSize;
}

// The first of `ranges` (sorted, disjoint) that reaches beyond `page`.
std::vector<PageRange>::const_iterator FirstBeyond(
    const std::vector<PageRange>& ranges, PageId page) {
  return std::partition_point(
      ranges.begin(), ranges.end(),
      [page](const PageRange& range) { return range.limit() <= page; });
}

// The first of `pages` that is in none of `ranges` (sorted, disjoint).
std::optional<PageId> FirstOutside(const std::vector<PageRange>& ranges,
                                   PageRange pages) {
  PageId next = pages.first;
  for (auto range = FirstBeyond(ranges, next);
       next < pages.limit() && range != ranges.end() && range->first <= next;
       ++range) {
    next = range->limit();
  }
  if (pages.limit() <= next) return std::nullopt;
  return next;
}

// `ranges` without `cuts`; both sorted.
std::vector<PageRange> Without(const std::vector<PageRange>& ranges,
                               const std::vector<PageRange>& cuts) {
  std::vector<PageRange> rest;
  auto cut = cuts.begin();
  for (PageRange range : ranges) {
    while (cut != cuts.end() && cut->limit() <= range.first) ++cut;
    for (auto c = cut; c != cuts.end() && c->first < range.limit(); ++c) {
      PageRange before = PageRange::Between(range.first, c->first);
      if (!before.empty()) rest.push_back(before);
      range =
          PageRange::Between(std::max(range.first, c->limit()), range.limit());
      if (range.empty()) break;
    }
    if (!range.empty()) rest.push_back(range);
  }
  return rest;
}

absl::Status CheckMapping(const ImageFile& file, const ImageRecord& record,
                          const criu::Mapping& mapping) {
  bool aligned =
      mapping.start() % kPageSize == 0 && mapping.limit() % kPageSize == 0;
  if (!mapping.has_start() || !mapping.has_limit() || !mapping.has_flags() ||
      !mapping.has_status() || !aligned || mapping.limit() <= mapping.start()) {
    return file.Corrupt(record, absl::StrCat("has the impossible mapping [0x",
                                             absl::Hex(mapping.start()), "..0x",
                                             absl::Hex(mapping.limit()), ")"));
  }
  return absl::OkStatus();
}

// Guards may overlap nothing of their own kind either.
absl::Status SortGuards(const ImageFile& file, const ImageRecord& record,
                        std::vector<PageRange>* guards) {
  std::sort(guards->begin(), guards->end(),
            [](const auto& a, const auto& b) { return a.first < b.first; });
  for (size_t i = 1; i < guards->size(); ++i) {
    if ((*guards)[i].first < (*guards)[i - 1].limit()) {
      return file.Corrupt(record, absl::StrCat("has overlapping guards at ",
                                               ToString((*guards)[i])));
    }
  }
  return absl::OkStatus();
}

}  // namespace

std::vector<PageRange> MemoryLayout::InLazyRegions(PageRange pages) const {
  std::vector<PageRange> parts;
  for (auto region = FirstBeyond(lazy_regions_, pages.first);
       region != lazy_regions_.end() && region->first < pages.limit();
       ++region) {
    parts.push_back(region->Intersect(pages));
  }
  return parts;
}

std::optional<PageId> MemoryLayout::FirstNotRegistered(PageRange pages) const {
  return FirstOutside(registered_, pages);
}

std::optional<PageId> MemoryLayout::FirstNotMapped(PageRange pages) const {
  return FirstOutside(mapped_, pages);
}

absl::StatusOr<MemoryLayout> DecodeMemoryLayout(const std::string& name,
                                                std::string_view contents) {
  ASSIGN_OR_RETURN(ImageFile file,
                   ImageFile::Parse(name, contents, ImageKind::kMemory));
  ASSIGN_OR_RETURN(ImageRecord record, file.OnlyRecord());
  criu::MemoryMap message;
  RETURN_IF_ERROR(file.Decode(record, &message));
  MemoryLayout layout;
  std::vector<PageRange> guards;
  uint64_t limit = 0;
  for (const criu::Mapping& mapping : message.mappings()) {
    RETURN_IF_ERROR(CheckMapping(file, record, mapping));
    PageRange pages = PagesOf(mapping.start(), mapping.limit());
    if ((mapping.status() & kGuard) != 0) {
      guards.push_back(pages);
      continue;
    }
    if (mapping.start() < limit) {
      return file.Corrupt(
          record, absl::StrCat("has the mapping ", ToString(pages),
                               " out of order or over the one before it"));
    }
    limit = mapping.limit();
    ++layout.mapping_count_;
    layout.mapped_.push_back(pages);
    if (IsRegistered(mapping)) layout.registered_.push_back(pages);
  }
  RETURN_IF_ERROR(SortGuards(file, record, &guards));
  layout.lazy_regions_ = Without(layout.registered_, guards);
  return layout;
}

}  // namespace pagelift
