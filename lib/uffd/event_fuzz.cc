// DecodeEvent() takes the kernel's word for it: any 32 bytes give an event
// whose ranges are whole and do not wrap around, or an error.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <utility>
#include <variant>

#include "absl/types/span.h"
#include "lib/uffd/event.h"

namespace pagelift {
namespace {

void Require(bool condition) {
  if (!condition) abort();
}

void CheckRange(PageRange range) {
  Require(range.first <= range.limit());
  Require(PageContaining(AddressOf(range.limit())) == range.limit());
}

struct Checker {
  void operator()(PageFault& fault) {
    Require(PageContaining(fault.address) == fault.page);
  }
  void operator()(Forked& forked) {
    // The descriptor was made up: it is not ours to close.
    Require(forked.child.valid());
    (void)forked.child.release();
  }
  void operator()(Remapped& remapped) {
    CheckRange(remapped.from);
    CheckRange({remapped.to, remapped.from.count});
  }
  void operator()(Removed& removed) { CheckRange(removed.range); }
  void operator()(Unmapped& unmapped) { CheckRange(unmapped.range); }
};

}  // namespace
}  // namespace pagelift

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto* bytes = reinterpret_cast<const std::byte*>(data);
  for (size_t at = 0; at + pagelift::kEventMessageSize <= size;
       at += pagelift::kEventMessageSize) {
    auto event = pagelift::DecodeEvent(
        absl::MakeConstSpan(bytes + at, pagelift::kEventMessageSize));
    if (event.ok()) std::visit(pagelift::Checker{}, *event);
  }
  return 0;
}
