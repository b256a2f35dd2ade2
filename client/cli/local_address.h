#ifndef PAGELIFT_CLIENT_CLI_LOCAL_ADDRESS_H_
#define PAGELIFT_CLIENT_CLI_LOCAL_ADDRESS_H_

#include <string>

#include "absl/status/statusor.h"

namespace pagelift {

// The address of this host from which another one is reached, as it is written
// before a port; `to` is HOST:PORT. kInvalidArgument: there is no such host.
absl::StatusOr<std::string> LocalAddressTowards(const std::string& to);

}  // namespace pagelift

#endif  // PAGELIFT_CLIENT_CLI_LOCAL_ADDRESS_H_
