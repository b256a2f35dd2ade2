#ifndef PAGELIFT_LIB_TRANSPORT_CRIU_CONNECTION_H_
#define PAGELIFT_LIB_TRANSPORT_CRIU_CONNECTION_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "lib/base/unique_fd.h"

namespace pagelift {

// "HOST:PORT", or "[HOST]:PORT" for an IPv6 address.
std::string CriuPeerName(const std::string& address, uint16_t port);

// Connects to a CRIU page server. To be called once for a server: it takes one
// connection, and lets the processes that it holds die when that ends in order.
// Therefore the socket resets its connection when it is closed, also by the end
// of this process, until EndInOrder().
//
// Of a name with several addresses each is tried until one is connected. Errors
// say what to check.
absl::StatusOr<UniqueFd> ConnectToCriu(const std::string& address,
                                       uint16_t port, absl::Duration deadline);

// From now on closing ends the connection in order, if all was read.
void EndInOrder(int socket);

}  // namespace pagelift

#endif  // PAGELIFT_LIB_TRANSPORT_CRIU_CONNECTION_H_
