#ifndef PAGELIFT_CLIENT_CLI_SESSION_WAIT_H_
#define PAGELIFT_CLIENT_CLI_SESSION_WAIT_H_

#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "client/cli/daemon_client.h"
#include "pagelift/v1/control.pb.h"

namespace pagelift {

// Whether nothing will come any more: the session is complete or has failed, or
// all that its target still lacks is lost.
bool HasEnded(const v1::SessionStatus& session);

// Whether the target has all its memory, so that it needs no pager.
bool IsWhole(const v1::SessionStatus& session);

// Waits until HasEnded(), or until `deadline`; the value is how it is then.
// With `progress`, one line on stderr that is written over tells how far it is.
absl::StatusOr<v1::SessionStatus> WaitUntilEnded(DaemonClient& client,
                                                 const std::string& session,
                                                 absl::Time deadline,
                                                 bool progress);

// What a daemon lists at one moment: those that are open, and for a while those
// that were.
using SessionLister =
    std::function<absl::StatusOr<std::vector<v1::SessionStatus>>()>;

// The same of several sessions, in that order. An end is noticed when it comes,
// whichever session it is of: the daemon does not tell for ever.
absl::StatusOr<std::vector<v1::SessionStatus>> WaitUntilAllEnded(
    const SessionLister& list, const std::vector<std::string>& names,
    absl::Time deadline, bool progress);

}  // namespace pagelift

#endif  // PAGELIFT_CLIENT_CLI_SESSION_WAIT_H_
