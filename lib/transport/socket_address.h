#ifndef PAGELIFT_DAEMON_PAGE_SERVER_LISTEN_ADDRESS_H_
#define PAGELIFT_DAEMON_PAGE_SERVER_LISTEN_ADDRESS_H_

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace pagelift {

// An address to listen on: HOST:PORT, [IPV6]:PORT, or unix:PATH.

// Binds it and lets go, for an error that says what is wrong with it: gRPC does
// not tell. A Unix socket that nobody listens on any more is fine; one that
// somebody does, or a file in its place, is kAlreadyExists.
absl::Status CheckCanListen(const std::string& address);

// Whether only this host can reach it.
bool IsLocalAddress(absl::string_view address);

// `address` with `port` in the place of its own, unless it has none.
std::string WithPort(const std::string& address, int port);

}  // namespace pagelift

#endif  // PAGELIFT_DAEMON_PAGE_SERVER_LISTEN_ADDRESS_H_
