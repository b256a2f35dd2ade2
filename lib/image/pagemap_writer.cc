#include "lib/image/pagemap_writer.h"

#include <algorithm>

#include "criu/pagemap.pb.h"
#include "lib/image/image_file.h"

namespace pagelift {
namespace {

// Of one entry, as CRIU up to 4.1 can count them.
constexpr PageCount kMostOldPages(uint64_t{1} << 31);

}  // namespace

PagemapWriter::PagemapWriter(uint32_t pages_id, PagemapCounts counts)
    : counts_(counts), contents_(ImageMagic(ImageKind::kPagemap)) {
  criu::PagemapHead head;
  head.set_pages_id(pages_id);
  contents_ += FramedRecord(head.SerializeAsString());
}

void PagemapWriter::Add(PageRange pages, PagemapFlags flags) {
  criu::PagemapEntry entry;
  entry.set_flags(BitsOf(flags));
  while (!pages.empty()) {
    PageRange part = pages;
    if (counts_ == PagemapCounts::kOld) {
      part.count = std::min(part.count, kMostOldPages);
      entry.set_old_page_count(static_cast<uint32_t>(part.count.raw()));
    } else {
      entry.set_old_page_count(0);  // It must be there.
      entry.set_page_count(part.count.raw());
    }
    entry.set_address(AddressOf(part.first));
    contents_ += FramedRecord(entry.SerializeAsString());
    pages = PageRange::Between(part.limit(), pages.limit());
  }
}

}  // namespace pagelift
