#include <unistd.h>

#include <cstdio>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "client/cli/commands.h"
#include "client/cli/daemon_client.h"
#include "client/cli/session_report.h"
#include "client/cli/session_wait.h"
#include "daemon/pager/pager_options.h"
#include "lib/base/command_line.h"
#include "lib/base/status_macros.h"

namespace pagelift {
namespace {

struct CompleteOptions {
  std::string control = kDefaultControlSocket;
  std::string session;
  absl::Duration timeout = absl::InfiniteDuration();
  bool json = false;
};

// How they are in the end.
absl::StatusOr<std::vector<v1::SessionStatus>> WaitForAll(
    const CompleteOptions& options) {
  const absl::Time deadline = absl::Now() + options.timeout;
  ASSIGN_OR_RETURN(DaemonClient client, DaemonClient::Connect(options.control));
  std::vector<std::string> names = {options.session};
  if (options.session.empty()) {
    ASSIGN_OR_RETURN(std::vector<v1::SessionStatus> open,
                     client.ListSessions());
    names.clear();
    for (const v1::SessionStatus& session : open) {
      // One that ended before is no business of ours.
      if (!IsWhole(session)) names.push_back(session.session());
    }
  }
  for (const std::string& name : names) {
    v1::TuneSessionRequest bring_all;
    bring_all.set_session(name);
    bring_all.set_prefetch("full");
    const absl::Status status = client.TuneSession(bring_all);
    // It may have ended; or the daemon stops, and does so anyway.
    if (!status.ok() && !absl::IsNotFound(status) &&
        !absl::IsUnavailable(status)) {
      return status;
    }
  }
  const bool progress = !options.json && isatty(STDERR_FILENO);
  if (options.session.empty()) {
    return WaitUntilAllEnded([&client] { return client.ListSessions(); }, names,
                             deadline, progress);
  }
  ASSIGN_OR_RETURN(v1::SessionStatus session,
                   WaitUntilEnded(client, options.session, deadline, progress));
  return std::vector<v1::SessionStatus>{std::move(session)};
}

// Why the target cannot do without its pager; empty if it can.
std::string WhyNotWhole(const v1::SessionStatus& session) {
  if (IsWhole(session)) return "";
  std::string why = absl::StrCat("session ", session.session(), " ");
  if (session.pages_lost() > 0) {
    absl::StrAppend(&why, "has lost ", session.pages_lost(),
                    " pages; whoever touches them gets SIGBUS");
  } else if (session.state() == "failed") {
    absl::StrAppend(&why, "has failed");
  } else {
    absl::StrAppend(&why, "still lacks ", session.pages_missing(),
                    " pages: do not dump its processes, and do not stop its "
                    "page server");
  }
  if (!session.trouble().empty()) {
    absl::StrAppend(&why, " (", session.trouble(), ")");
  }
  return why;
}

int Complete(const CompleteOptions& options) {
  absl::StatusOr<std::vector<v1::SessionStatus>> ended = WaitForAll(options);
  if (!ended.ok()) {
    fprintf(stderr, "pagelift complete: %s\n",
            std::string(ended.status().message()).c_str());
    return 1;
  }
  if (options.json) {
    fputs(SessionsJson(*ended).c_str(), stdout);
  } else if (ended->empty()) {
    printf("no session is open: nothing is missing anywhere\n");
  }
  int exit_code = 0;
  for (const v1::SessionStatus& session : *ended) {
    const std::string why = WhyNotWhole(session);
    if (!why.empty()) {
      fprintf(stderr, "pagelift complete: %s\n", why.c_str());
      exit_code = 1;
    } else if (!options.json) {
      printf("session %s: ", session.session().c_str());
      fputs(SessionSummary(session).c_str(), stdout);
    }
  }
  return exit_code;
}

}  // namespace

int CompleteCommand(int argc, const char* const argv[]) {
  CompleteOptions options;
  CommandLine line(
      "pagelift complete",
      "Returns when a restored process has all its memory. Before that it must "
      "not be dumped\n"
      "(CRIU would take what is missing for zeros), and its page server must "
      "not go away. What is missing is brought at full speed, however slowly "
      "it "
      "was to come.");
  line.Add({"timeout", 't', "DURATION", "give up after that; default: never",
            &options.timeout});
  line.Add({"json", 0, "", "one JSON object instead of text", &options.json});
  line.Add(
      {"control", 0, "PATH", "the daemon's control socket", &options.control});
  line.AddPositional(
      {"[SESSION]", "only this one; default: all", &options.session});
  line.Examples(
      "Exit codes: 0 all memory is there, 1 not so, 2 wrong usage.\n\n"
      "Examples:\n"
      "  pagelift complete s3 && criu dump -t PID -D /ckpt2\n"
      "  pagelift complete --timeout 5m\n");
  if (std::optional<int> exit_code = line.ParseOrExitCode(argc, argv)) {
    return *exit_code;
  }
  return Complete(options);
}

}  // namespace pagelift
