#include "lib/image/pagemap_chain.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "lib/base/status_macros.h"

namespace pagelift {

absl::StatusOr<PagemapChain> PagemapChain::Open(
    absl::Span<const ImageDirectory> chain, int32_t pid) {
  return Open(chain, absl::StrCat("pagemap-", pid, ".img"),
              absl::StrCat("task ", pid));
}

absl::StatusOr<PagemapChain> PagemapChain::Open(
    absl::Span<const ImageDirectory> chain, const std::string& name,
    std::string whose) {
  PagemapChain result;
  result.whose_ = std::move(whose);
  for (const ImageDirectory& directory : chain) {
    // What is younger than the parent image is not in it.
    if (!result.levels_.empty() && !directory.Has(name)) break;
    ASSIGN_OR_RETURN(std::string contents, directory.ReadFile(name));
    ASSIGN_OR_RETURN(Pagemap pagemap,
                     DecodePagemap(directory.PathOf(name), contents));
    ASSIGN_OR_RETURN(
        std::shared_ptr<const PagesFile> file,
        PagesFile::Open(directory, pagemap.pages_id, pagemap.present_pages));
    bool more = pagemap.has_parent_pages;
    result.levels_.push_back({std::move(pagemap), std::move(file)});
    if (!more) break;
  }
  return result;
}

absl::Status PagemapChain::Locate(PageRange pages,
                                  std::vector<LocatedPages>* located) const {
  return LocateFrom(0, pages, located);
}

absl::Status PagemapChain::LocateFrom(
    size_t level, PageRange pages, std::vector<LocatedPages>* located) const {
  if (level == levels_.size()) {
    return absl::DataLossError(absl::StrCat(
        "pages ", ToString(pages), " of ", whose_,
        " are in a parent image, which is not there: copy the directory that "
        "the link `parent` names as well"));
  }
  const auto& [pagemap, file] = levels_[level];
  auto entry = std::partition_point(
      pagemap.entries.begin(), pagemap.entries.end(),
      [&](const auto& e) { return e.pages.limit() <= pages.first; });
  while (!pages.empty()) {
    if (entry == pagemap.entries.end() || pages.first < entry->pages.first) {
      return absl::DataLossError(
          absl::StrCat("the page at 0x", absl::Hex(AddressOf(pages.first)),
                       " of ", whose_, " should be in parent image ", level,
                       ", which does not have it: the images are not of one "
                       "chain of dumps"));
    }
    PageRange part = entry->pages.Intersect(pages);
    if (entry->flags.present) {
      PageCount skipped = part.first - entry->pages.first;
      located->push_back({part, file, entry->offset + skipped});
    } else if (entry->flags.in_parent) {
      RETURN_IF_ERROR(LocateFrom(level + 1, part, located));
    } else {
      located->push_back({part, nullptr, PageCount(0)});
    }
    pages = PageRange::Between(part.limit(), pages.limit());
    ++entry;
  }
  return absl::OkStatus();
}

}  // namespace pagelift
