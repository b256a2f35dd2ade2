#include "client/cli/session_wait.h"

#include <cstdio>

#include "absl/time/clock.h"
#include "client/cli/session_report.h"
#include "lib/base/status_macros.h"

namespace pagelift {

bool HasEnded(const v1::SessionStatus& session) {
  // What is lost never comes: its session waits for the target to end.
  const bool only_lost_left =
      session.pages_lost() > 0 && session.pages_missing() == 0;
  return session.state() == "complete" || session.state() == "failed" ||
         only_lost_left;
}

bool IsWhole(const v1::SessionStatus& session) {
  return session.state() == "complete" && session.pages_lost() == 0;
}

absl::StatusOr<v1::SessionStatus> WaitUntilEnded(DaemonClient& client,
                                                 const std::string& session,
                                                 absl::Time deadline,
                                                 bool progress) {
  while (true) {
    ASSIGN_OR_RETURN(v1::SessionStatus status, client.GetSession(session));
    const bool done = HasEnded(status) || deadline <= absl::Now();
    if (progress) {
      fprintf(stderr, "\r\033[K%s", done ? "" : ProgressLine(status).c_str());
    }
    if (done) return status;
    absl::SleepFor(absl::Milliseconds(20));
  }
}

}  // namespace pagelift
