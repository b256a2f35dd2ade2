#ifndef PAGELIFT_LIB_TRANSPORT_GRPC_LOG_H_
#define PAGELIFT_LIB_TRANSPORT_GRPC_LOG_H_

namespace pagelift {

// From now on what gRPC has to say goes into our log.
void RouteGrpcLog();

}  // namespace pagelift

#endif  // PAGELIFT_LIB_TRANSPORT_GRPC_LOG_H_
