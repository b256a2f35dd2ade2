#ifndef PAGELIFT_CLIENT_CLI_PROGRAMS_H_
#define PAGELIFT_CLIENT_CLI_PROGRAMS_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "lib/workingset/working_set.h"

namespace pagelift {

// The services that `pagelift` starts.

// Starts a program of ours that outlives us, in a session of its own and
// without output, and returns when it has said by its --ready-fd, which is
// added to `argv`, that it serves. kUnavailable if it does not; the message
// refers to `log`.
absl::Status StartService(std::vector<std::string> argv,
                          const std::string& log);

// Starts a pageliftd like that, at `socket`.
absl::Status StartPager(const std::string& socket, KeepWorkingSets keep);

}  // namespace pagelift

#endif  // PAGELIFT_CLIENT_CLI_PROGRAMS_H_
