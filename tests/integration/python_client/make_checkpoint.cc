// Writes a small checkpoint as CRIU would, for tests in other languages:
//
//   make_checkpoint DIR
//
// Two tasks, pages with contents of their own, runs of zero pages, and a
// mapping that is larger than a batch.

#include <cstdio>

#include "lib/image/testing/image_builder.h"
#include "lib/memory/page.h"

namespace {

using pagelift::kLazy;
using pagelift::kPresent;
using pagelift::MappingKind;
using pagelift::PageCount;
using pagelift::PageId;

}  // namespace

int main(int argc, char* argv[]) {
  if (argc != 2) {
    fprintf(stderr, "usage: make_checkpoint DIR\n");
    return 2;
  }
  constexpr uint32_t kServed = kLazy | kPresent;
  pagelift::ImageBuilder(argv[1])
      .AddTask(7)
      .AddMapping({PageId(0x10000), PageCount(1000)}, MappingKind::kAnonymous)
      .AddPages({PageId(0x10000), PageCount(300)}, kServed)
      .AddZeroPages({PageId(0x1012c), PageCount(200)}, kServed)
      .AddPages({PageId(0x101f4), PageCount(37)}, kServed)
      .AddTask(8, 7)
      .AddMapping({PageId(0x20000), PageCount(16)}, MappingKind::kAnonymous)
      .AddPages({PageId(0x20000), PageCount(3)}, kServed)
      .Write();
  return 0;
}
