#ifndef PAGELIFT_LIB_HTTP2_GRPC_MESSAGE_H_
#define PAGELIFT_LIB_HTTP2_GRPC_MESSAGE_H_

#include <string>

#include "absl/strings/string_view.h"

namespace pagelift {

// The value of gRPC's "grpc-message" trailer: percent-encoded, as its
// PROTOCOL-HTTP2 says.
std::string EncodeGrpcMessage(absl::string_view message);

// Leaves what is no escape as it is, as the protocol wants it.
std::string DecodeGrpcMessage(absl::string_view value);

}  // namespace pagelift

#endif  // PAGELIFT_LIB_HTTP2_GRPC_MESSAGE_H_
