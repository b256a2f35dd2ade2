#include "lib/source/testing/page_pattern.h"

#include <cstring>
#include <utility>

namespace pagelift {

PageBytes PatternOf(ImagePage page) {
  PageBytes bytes;
  // A multiplicative sequence that starts at an odd number never reaches zero.
  uint64_t word = 2 * page.raw() + 1;
  for (size_t offset = 0; offset < kPageSize; offset += sizeof(word)) {
    std::memcpy(bytes.data() + offset, &word, sizeof(word));
    word *= 6364136223846793005u;
  }
  return bytes;
}

PageBytes RepetitiveOf(ImagePage page) {
  PageBytes bytes;
  const uint64_t word = 2 * page.raw() + 1;
  for (size_t offset = 0; offset < kPageSize; offset += sizeof(word)) {
    std::memcpy(bytes.data() + offset, &word, sizeof(word));
  }
  return bytes;
}

bool HoldsPattern(const void* memory, ImagePage page) {
  PageBytes expected = PatternOf(page);
  return std::memcmp(memory, expected.data(), kPageSize) == 0;
}

ImageDescription OneTaskImage(int32_t pid, PageRange region) {
  TaskDescription task;
  task.pid = pid;
  task.lazy_regions = {region};
  task.extents = {{region, ImagePage(0)}};
  ImageDescription image;
  image.content_id = "0123456789abcdef0123456789abcdef";
  image.page_count = region.count;
  image.tasks.push_back(std::move(task));
  return image;
}

}  // namespace pagelift
