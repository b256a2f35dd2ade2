// The framing of image files: records lie inside the file, one after the other,
// and framing them again gives the file.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "lib/base/log.h"
#include "lib/image/image_file.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using pagelift::ImageFile;
  using pagelift::ImageKind;
  std::string_view contents(reinterpret_cast<const char*>(data), size);
  for (ImageKind kind : {ImageKind::kInventory, ImageKind::kPagemap}) {
    auto file = ImageFile::Parse("fuzz", contents, kind);
    if (!file.ok()) continue;
    std::string again = pagelift::ImageMagic(kind);
    while (true) {
      auto record = file->Next();
      if (!record.ok()) break;
      if (!record->has_value()) {
        CHECK(again == contents) << "framing lost something";
        break;
      }
      CHECK((*record)->offset == again.size()) << "a record overlaps another";
      again += pagelift::FramedRecord((*record)->bytes);
    }
  }
  return 0;
}
