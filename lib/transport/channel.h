#ifndef PAGELIFT_LIB_TRANSPORT_CHANNEL_H_
#define PAGELIFT_LIB_TRANSPORT_CHANNEL_H_

#include <memory>

#include "grpcpp/grpcpp.h"
#include "lib/tls/tls_credentials.h"
#include "lib/transport/endpoint.h"

namespace pagelift {

// A channel to a page server, not shared with any other. Notices a dead peer by
// keepalive within 15 s, and reconnects by itself. Certificates that change are
// used from the next connection on, a second later.
std::shared_ptr<grpc::Channel> NewPageChannel(const Endpoint& endpoint);

// Of a server; `tls` is null for plain text.
std::shared_ptr<grpc::ServerCredentials> PageServerCredentials(
    const TlsCredentials* tls);

// What the server's side of such connections needs.
void ConfigurePageServer(grpc::ServerBuilder& builder);

}  // namespace pagelift

#endif  // PAGELIFT_LIB_TRANSPORT_CHANNEL_H_
