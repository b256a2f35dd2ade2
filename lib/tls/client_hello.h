#ifndef PAGELIFT_LIB_TLS_CLIENT_HELLO_H_
#define PAGELIFT_LIB_TLS_CLIENT_HELLO_H_

#include <cstddef>

#include "lib/base/byte_span.h"

namespace pagelift {

// What a client's first bytes say about its connection.
enum class ClientHello {
  kTooFew,      // Nothing yet.
  kNoTls,       // Anything else than TLS.
  kUnusable,    // TLS before 1.3, or broken.
  kOther,       // TLS that offers no protocol of ours.
  kSingleCall,  // TLS that offers kSingleCallProtocol.
};

// The bytes that are needed for a decision at most.
constexpr size_t kMostClientHelloBytes = 20 << 10;

// `bytes` are those that came first. Decides for any input by
// kMostClientHelloBytes.
ClientHello JudgeClientHello(ByteSpan bytes);

}  // namespace pagelift

#endif  // PAGELIFT_LIB_TLS_CLIENT_HELLO_H_
