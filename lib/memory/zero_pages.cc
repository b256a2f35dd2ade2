#include "lib/memory/zero_pages.h"

#include <cstdint>
#include <cstring>

namespace pagelift {
namespace {

bool IsZero(const std::byte* page) {
  uint64_t first;
  std::memcpy(&first, page, sizeof(first));
  // memcmp of a page with itself, shifted: all bytes equal the first ones.
  return first == 0 && std::memcmp(page, page + sizeof(first),
                                   kPageSize - sizeof(first)) == 0;
}

}  // namespace

ZeroRun FirstRun(absl::Span<const std::byte> bytes) {
  const uint64_t pages = bytes.size() / kPageSize;
  const bool zero = IsZero(bytes.data());
  uint64_t count = 1;
  while (count < pages && IsZero(bytes.data() + count * kPageSize) == zero) {
    ++count;
  }
  return {zero, PageCount(count)};
}

}  // namespace pagelift
