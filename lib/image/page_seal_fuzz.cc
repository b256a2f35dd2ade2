// Seals: what is taken for one is one, byte for byte.

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"
#include "lib/base/log.h"
#include "lib/base/xxh3.h"
#include "lib/image/page_seal.h"

namespace {

constexpr char kContentId[] = "0123456789abcdef0123456789abcdef";

void Try(absl::string_view bytes) {
  using pagelift::PageSeal;
  for (uint64_t pages = 0; pages < 4; ++pages) {
    const absl::StatusOr<PageSeal> seal =
        PageSeal::Decode(bytes, kContentId, pagelift::PageCount(pages));
    if (!seal.ok()) continue;
    CHECK(bytes.size() == 64 + 8 * pages) << "of another length";
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string bytes(reinterpret_cast<const char*>(data), size);
  Try(bytes);
  // As if its checksum were right, which no mutation finds.
  pagelift::Xxh3 hash;
  hash.Add(bytes);
  uint64_t checksum = hash.Get();
  for (int i = 0; i < 8; ++i) {
    bytes.push_back(static_cast<char>(checksum >> (8 * i)));
  }
  Try(bytes);
  return 0;
}
