#ifndef PAGELIFT_LIB_TRANSPORT_CHANNEL_H_
#define PAGELIFT_LIB_TRANSPORT_CHANNEL_H_

#include <memory>
#include <string>

#include "grpcpp/grpcpp.h"

namespace pagelift {

// A channel to `address` (HOST:PORT, or unix:PATH), not shared with any other.
// Notices a dead peer by keepalive within 15 s, and reconnects by itself.
std::shared_ptr<grpc::Channel> NewPageChannel(const std::string& address);

// What the server's side of such connections needs.
void ConfigurePageServer(grpc::ServerBuilder& builder);

}  // namespace pagelift

#endif  // PAGELIFT_LIB_TRANSPORT_CHANNEL_H_
