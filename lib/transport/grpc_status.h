#ifndef PAGELIFT_LIB_TRANSPORT_GRPC_STATUS_H_
#define PAGELIFT_LIB_TRANSPORT_GRPC_STATUS_H_

#include <string>

#include "absl/status/status.h"
#include "grpcpp/support/status.h"

namespace pagelift {

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
