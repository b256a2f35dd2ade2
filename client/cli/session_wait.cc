#include "client/cli/session_wait.h"

#include <algorithm>
#include <cstdio>
#include <map>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "client/cli/session_report.h"
#include "lib/base/status_macros.h"

namespace pagelift {
namespace {

// Each look at all sessions costs the daemon some microseconds a session.
constexpr absl::Duration kBetweenLooksAtAll = absl::Milliseconds(100);

using Statuses = std::map<std::string, v1::SessionStatus>;

// Brings up to date what is known of sessions that have not ended.
absl::Status Update(const std::vector<v1::SessionStatus>& listed,
                    const std::vector<std::string>& names, Statuses& known) {
  Statuses now;
  for (const v1::SessionStatus& status : listed) now[status.session()] = status;
  for (const std::string& name : names) {
    v1::SessionStatus& status = known[name];
    if (HasEnded(status)) continue;
    auto found = now.find(name);
    if (found == now.end()) {
      return absl::NotFoundError(absl::StrCat("there is no session ", name));
    }
    status = found->second;
  }
  return absl::OkStatus();
}

void TellProgress(const Statuses& known) {
  std::string line;
  for (const auto& [name, status] : known) {
    if (line.empty() && !HasEnded(status)) line = ProgressLine(status);
  }
  fprintf(stderr, "\r\033[K%s", line.c_str());
}

}  // namespace

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

absl::StatusOr<std::vector<v1::SessionStatus>> WaitUntilAllEnded(
    const SessionLister& list, const std::vector<std::string>& names,
    absl::Time deadline, bool progress) {
  Statuses known;
  auto all_ended = [&known] {
    return std::all_of(known.begin(), known.end(), [](const auto& session) {
      return HasEnded(session.second);
    });
  };
  while (true) {
    ASSIGN_OR_RETURN(std::vector<v1::SessionStatus> listed, list());
    RETURN_IF_ERROR(Update(listed, names, known));
    if (progress) TellProgress(known);
    if (all_ended() || deadline <= absl::Now()) break;
    absl::SleepFor(kBetweenLooksAtAll);
  }
  std::vector<v1::SessionStatus> statuses;
  for (const std::string& name : names) statuses.push_back(known[name]);
  return statuses;
}

}  // namespace pagelift
