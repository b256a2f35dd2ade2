// Whatever text is taken for smaps, the mappings are in order, apart, and not
// empty, and every answer lies within its question.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "lib/process/registered_ranges.h"

namespace {

using pagelift::PageCount;
using pagelift::PageId;
using pagelift::PageRange;

void Require(bool condition) {
  if (!condition) abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  auto ranges = pagelift::RegisteredRanges::Parse(
      std::string_view(reinterpret_cast<const char*>(data), size));
  if (!ranges.ok()) return 0;
  PageId least(0);
  for (const pagelift::Mapping& mapping : ranges->mappings()) {
    Require(!mapping.pages.empty());
    Require(least <= mapping.pages.first);
    least = mapping.pages.limit();
  }
  const PageRange question = {PageId(size), PageCount(size * size)};
  least = question.first;
  for (PageRange part : ranges->RegisteredIn(question)) {
    Require(question.Contains(part) && least <= part.first);
    least = part.limit();
  }
  return 0;
}
