// Each decoder of an image file. The first byte says which; the rest are
// records, to which the magic is added.

#include <cstddef>
#include <cstdint>
#include <string>

#include "lib/base/log.h"
#include "lib/image/dump_stats.h"
#include "lib/image/image_file.h"
#include "lib/image/inventory.h"
#include "lib/image/memory_layout.h"
#include "lib/image/pagemap.h"
#include "lib/image/process_tree.h"
#include "lib/image/thread_core.h"

namespace pagelift {
namespace {

void CheckTree(const std::string& contents) {
  auto tasks = DecodeProcessTree("fuzz", contents);
  if (!tasks.ok()) return;
  CHECK(!tasks->empty());
  for (const TaskRecord& task : *tasks) {
    CHECK(task.pid > 0 && task.zombie == task.threads.empty());
  }
}

void CheckLayout(const std::string& contents) {
  auto layout = DecodeMemoryLayout("fuzz", contents);
  if (!layout.ok()) return;
  PageId limit;
  for (const PageRange& region : layout->lazy_regions()) {
    CHECK(!region.empty() && limit <= region.first) << region;
    CHECK(layout->FirstNotRegistered(region) == std::nullopt) << region;
    auto parts = layout->InLazyRegions(region);
    CHECK(parts.size() == 1 && parts[0] == region) << region;
    limit = region.limit();
  }
}

void CheckPagemap(const std::string& contents) {
  auto pagemap = DecodePagemap("fuzz", contents);
  if (!pagemap.ok()) return;
  PageId limit;
  PageCount offset;
  for (const PagemapEntry& entry : pagemap->entries) {
    CHECK(!entry.pages.empty() && limit <= entry.pages.first) << entry.pages;
    limit = entry.pages.limit();
    if (!entry.flags.present) continue;
    CHECK(entry.offset == offset) << entry.pages;
    offset = offset + entry.pages.count;
  }
  CHECK(offset == pagemap->present_pages);
}

}  // namespace
}  // namespace pagelift

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace pagelift;  // NOLINT(google-build-using-namespace)
  if (size == 0) return 0;
  std::string records(reinterpret_cast<const char*>(data) + 1, size - 1);
  auto with_magic = [&](ImageKind kind) { return ImageMagic(kind) + records; };
  switch (data[0] % 5) {
    case 0:
      (void)DecodeInventory("fuzz", with_magic(ImageKind::kInventory));
      break;
    case 1:
      CheckTree(with_magic(ImageKind::kProcessTree));
      break;
    case 2:
      CheckLayout(with_magic(ImageKind::kMemory));
      break;
    case 3:
      CheckPagemap(with_magic(ImageKind::kPagemap));
      break;
    case 4:
      (void)DecodeThreadCore("fuzz", with_magic(ImageKind::kCore));
      (void)DecodeDumpStats("fuzz", with_magic(ImageKind::kStats));
      break;
  }
  return 0;
}
