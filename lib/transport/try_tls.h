#ifndef PAGELIFT_LIB_TRANSPORT_TRY_TLS_H_
#define PAGELIFT_LIB_TRANSPORT_TRY_TLS_H_

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "lib/transport/endpoint.h"

namespace pagelift {

// Does a handshake with the server at `endpoint`, and nothing else, to find out
// why gRPC could not: its own errors do not tell which end refused which. OK if
// all is well. Takes up to a second longer than the handshake, to hear what the
// server thinks of our certificate, and `deadline` at most.
absl::Status TryTls(const Endpoint& endpoint, absl::Duration deadline);

}  // namespace pagelift

#endif  // PAGELIFT_LIB_TRANSPORT_TRY_TLS_H_
