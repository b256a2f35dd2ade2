#ifndef PAGELIFT_LIB_TRANSPORT_CHANNEL_H_
#define PAGELIFT_LIB_TRANSPORT_CHANNEL_H_

#include <memory>
#include <string>

#include "grpcpp/grpcpp.h"

namespace pagelift {

// What a connection to a page server carries. Each kind gets a connection of
// its own, so that a fault never waits behind bulk on a socket.
enum class ChannelUse { kDemand, kBulk };

// A channel to `address` (HOST:PORT, or unix:PATH), not shared with any other.
// Notices a dead peer by keepalive within 15 s, and reconnects by itself.
std::shared_ptr<grpc::Channel> NewPageChannel(const std::string& address,
                                              ChannelUse use);

// What the server's side of such connections needs.
void ConfigurePageServer(grpc::ServerBuilder& builder);

}  // namespace pagelift

#endif  // PAGELIFT_LIB_TRANSPORT_CHANNEL_H_
