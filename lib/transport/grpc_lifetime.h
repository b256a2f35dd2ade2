#ifndef PAGELIFT_LIB_TRANSPORT_GRPC_LIFETIME_H_
#define PAGELIFT_LIB_TRANSPORT_GRPC_LIFETIME_H_

namespace pagelift {

// Keeps what gRPC holds for the whole process until the process ends. Otherwise
// it goes with the last channel or server, and waits for a thread of its own
// that may be polling for another ten seconds. For programs that are about to
// end then. Thread-safe; once is enough.
void KeepGrpcToTheEnd();

}  // namespace pagelift

#endif  // PAGELIFT_LIB_TRANSPORT_GRPC_LIFETIME_H_
