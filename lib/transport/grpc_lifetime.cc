#include "lib/transport/grpc_lifetime.h"

#include "grpc/grpc.h"

namespace pagelift {

void KeepGrpcToTheEnd() {
  static const bool kept = (grpc_init(), true);
  (void)kept;
}

}  // namespace pagelift
