#ifndef PAGELIFT_LIB_HTTP2_FIRST_BYTES_H_
#define PAGELIFT_LIB_HTTP2_FIRST_BYTES_H_

#include <cstddef>
#include <cstdint>

#include "lib/base/byte_span.h"

namespace pagelift {

// A setting of HTTP/2 by which a client says that its connection carries one
// call and nothing else. Servers that do not know it have to ignore it (RFC
// 9113, section 6.5.2), and then answer the call as any other.
constexpr uint16_t kSingleCallSetting = 0xf70a;

// What a client's first bytes say about its connection.
enum class FirstBytes {
  kTooFew,      // Both are still possible.
  kOther,       // Anything that the setting is not on.
  kSingleCall,  // HTTP/2 whose first SETTINGS has kSingleCallSetting = 1.
};

// The bytes that are needed for a decision at most.
constexpr size_t kMostFirstBytes = 24 + 9 + 64 * 6;

// `bytes` are those that came first. Decides as soon as it can, and for any
// input by kMostFirstBytes.
FirstBytes JudgeFirstBytes(ByteSpan bytes);

}  // namespace pagelift

#endif  // PAGELIFT_LIB_HTTP2_FIRST_BYTES_H_
