#ifndef PAGELIFT_DAEMON_MIGRATION_INCOMING_RECEIVER_OPTIONS_H_
#define PAGELIFT_DAEMON_MIGRATION_INCOMING_RECEIVER_OPTIONS_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "lib/base/command_line.h"

namespace pagelift {

inline constexpr char kDefaultIncoming[] = "/var/lib/pagelift/incoming";

// What pageliftd is told of migrations to its host. Whom it starts for them,
// the receiver, has the same command line.
struct ReceiverOptions {
  std::string listen;  // Empty: there are none.
  std::string state = kDefaultIncoming;
  std::string tls;
  bool insecure = false;
  std::vector<std::string> allowed;  // Empty: whoever is certified.
  std::string criu;                  // Empty: FindCriu() looks for it.
  std::string hook;                  // Empty: none.
  int ready_fd = -1;                 // The receiver's.
};

// `options` must outlive `line`.
void AddReceiverOptions(ReceiverOptions* options, CommandLine* line);

// kInvalidArgument says what does not fit, for people.
absl::Status CheckReceiverOptions(const ReceiverOptions& options);

}  // namespace pagelift

#endif  // PAGELIFT_DAEMON_MIGRATION_INCOMING_RECEIVER_OPTIONS_H_
