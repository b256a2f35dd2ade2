#ifndef PAGELIFT_LIB_TRANSPORT_GRPC_STATUS_H_
#define PAGELIFT_LIB_TRANSPORT_GRPC_STATUS_H_

#include <string>

#include "absl/status/status.h"
#include "grpcpp/support/status.h"

namespace pagelift {

// In the trailing metadata of an answer: it comes from a service of ours, also
// if it says kUnavailable, and not from a connection that broke.
inline constexpr char kAnsweredBy[] = "pagelift-answered-by";

// absl::Status and grpc::Status have the same codes and say the same.

inline grpc::Status ToGrpc(const absl::Status& status) {
  return grpc::Status(static_cast<grpc::StatusCode>(status.code()),
                      std::string(status.message()));
}

inline absl::Status FromGrpc(const grpc::Status& status) {
  return absl::Status(static_cast<absl::StatusCode>(status.error_code()),
                      status.error_message());
}

}  // namespace pagelift

#endif  // PAGELIFT_LIB_TRANSPORT_GRPC_STATUS_H_
