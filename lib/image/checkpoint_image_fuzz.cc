// The whole way from files to a page store, and to a restore view and back. The
// input is four parts, each with its length as two bytes before it: pstree.img,
// mm-7.img, pagemap-7.img and the parent's pagemap-7.img, without magic
// numbers.

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

#include "absl/types/span.h"
#include "lib/base/log.h"
#include "lib/base/testing/temp_dir.h"
#include "lib/image/checkpoint_image.h"
#include "lib/image/image_file.h"
#include "lib/image/image_summary.h"
#include "lib/image/pagemap.h"
#include "lib/image/restore_view.h"
#include "lib/image/thin_checkpoint.h"

namespace pagelift {
namespace {

constexpr uint64_t kMostPages = 64;

std::string TakePart(std::string_view* rest) {
  if (rest->size() < 2) return "";
  size_t size =
      static_cast<uint8_t>((*rest)[0]) + 256 * static_cast<uint8_t>((*rest)[1]);
  std::string part(rest->substr(2, size));
  rest->remove_prefix(std::min(rest->size(), 2 + size));
  return part;
}

void Write(const std::string& path, const std::string& contents) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << contents;
}

// The pagemap, and a pages file of the size that it wants.
void WritePagemap(const std::string& directory, const std::string& records) {
  std::string contents = ImageMagic(ImageKind::kPagemap) + records;
  Write(directory + "/pagemap-7.img", contents);
  auto pagemap = DecodePagemap("fuzz", contents);
  if (!pagemap.ok()) return;
  uint64_t pages = std::min(pagemap->present_pages.raw(), kMostPages);
  Write(directory + "/pages-" + std::to_string(pagemap->pages_id) + ".img",
        std::string(PageCount(pages).bytes(), 'x'));
}

void WriteImages(const std::string& directory, std::string_view input) {
  std::filesystem::remove_all(directory);
  std::filesystem::create_directories(directory + "/parent");
  Write(directory + "/inventory.img",
        ImageMagic(ImageKind::kInventory) + FramedRecord("\x08\x02"));
  // A stack pointer at 0x3008.
  Write(directory + "/core-7.img",
        ImageMagic(ImageKind::kCore) +
            FramedRecord("\x12\x06\x12\x04\xa0\x01\x88\x60"));
  Write(directory + "/pstree.img",
        ImageMagic(ImageKind::kProcessTree) + TakePart(&input));
  Write(directory + "/mm-7.img",
        ImageMagic(ImageKind::kMemory) + TakePart(&input));
  WritePagemap(directory, TakePart(&input));
  WritePagemap(directory + "/parent", TakePart(&input));
}

void CheckStore(const CheckpointImage& image) {
  uint64_t total = image.description().page_count.raw();
  for (uint64_t next = 0; next < total;) {
    ImageRange rest{ImagePage(next), PageCount(total - next)};
    std::array<std::byte, 3 * kPageSize> buffer = {};
    auto count = image.Read(rest, absl::MakeSpan(buffer));
    CHECK(count.ok()) << count.status();
    CHECK(PageCount(0) < *count && count->raw() <= total - next);
    CHECK(buffer.front() == std::byte{'x'});
    CHECK(buffer[count->bytes() - 1] == std::byte{'x'});
    next += count->raw();
  }
}

void CheckSame(const ImageDescription& seen, const ImageDescription& expected) {
  CHECK(seen.content_id == expected.content_id);
  CHECK(seen.page_count == expected.page_count);
  for (size_t i = 0; i < seen.tasks.size(); ++i) {
    const auto& extents = expected.tasks[i].extents;
    CHECK(std::equal(extents.begin(), extents.end(),
                     seen.tasks[i].extents.begin(), seen.tasks[i].extents.end(),
                     [](const ImageExtent& a, const ImageExtent& b) {
                       return a.pages == b.pages && a.image == b.image;
                     }));
  }
}

// The view is the same image, with its parent's pages elsewhere.
void CheckView(const std::string& images, const std::string& view,
               const ImageDescription& expected) {
  std::filesystem::remove_all(view);
  absl::Status written = WriteRestoreView(images, view);
  CHECK(written.ok()) << written;
  auto image = CheckpointImage::Open(view, OpenMode::kLayoutOnly);
  CHECK(image.ok()) << image.status();
  CHECK(!NeedsRestoreView(**image));
  CheckSame((*image)->description(), expected);
}

// A thin one likewise, and it needs no parent.
void CheckThin(const std::string& images, const std::string& thin,
               const ImageDescription& expected) {
  std::filesystem::remove_all(thin);
  auto made = WriteThinCheckpoint(images, thin);
  if (!made.ok()) {
    // What only restore reads may be damaged, or elsewhere.
    CHECK(absl::IsFailedPrecondition(made.status()) ||
          absl::IsDataLoss(made.status()) ||
          absl::IsUnimplemented(made.status()))
        << made.status();
    CHECK(!std::filesystem::exists(thin));
    return;
  }
  CHECK(!std::filesystem::exists(thin + "/parent"));
  auto image = CheckpointImage::Open(thin, OpenMode::kLayoutOnly);
  CHECK(image.ok()) << image.status();
  CheckSame((*image)->description(), expected);
}

}  // namespace
}  // namespace pagelift

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace pagelift;  // NOLINT(google-build-using-namespace)
  static const TempDir* const dir = new TempDir;
  std::string images = dir->Join("images");
  WriteImages(images, {reinterpret_cast<const char*>(data), size});
  auto layout = CheckpointImage::Open(images, OpenMode::kLayoutOnly);
  auto full = CheckpointImage::Open(images);
  CHECK(layout.ok() || !full.ok()) << layout.status();
  if (full.ok()) CheckStore(**full);
  if (!layout.ok()) return 0;
  const ImageDescription& description = (*layout)->description();
  CheckView(images, dir->Join("view"), description);
  CheckThin(images, dir->Join("thin"), description);
  auto summary = SummarizeImage(images);
  CHECK(summary.ok()) << summary.status();
  CHECK(summary->total.lazy == description.page_count);
  return 0;
}
