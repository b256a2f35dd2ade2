#ifndef PAGELIFT_LIB_BASE_BYTE_SPAN_H_
#define PAGELIFT_LIB_BASE_BYTE_SPAN_H_

#include <cstddef>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace pagelift {

// Bytes of somebody else.
using ByteSpan = absl::Span<const std::byte>;

inline ByteSpan BytesOf(absl::string_view text) {
  return ByteSpan(reinterpret_cast<const std::byte*>(text.data()), text.size());
}

}  // namespace pagelift

#endif  // PAGELIFT_LIB_BASE_BYTE_SPAN_H_
