#include <cstdio>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "client/cli/commands.h"
#include "client/cli/migration_report.h"
#include "client/cli/migration_watch.h"
#include "daemon/migration/outgoing/migration_place.h"
#include "lib/base/command_line.h"
#include "lib/base/status_macros.h"
#include "lib/transport/grpc_lifetime.h"

namespace pagelift {
namespace {

constexpr absl::Duration kBetweenLooks = absl::Milliseconds(20);

// Returns when it runs here again.
absl::StatusOr<v1::MigrationProgress> Abort(const MigrationPlace& place) {
  MigrationWatch watch(place);
  ASSIGN_OR_RETURN(v1::MigrationProgress progress, watch.Get());
  if (!IsOver(progress)) {
    RETURN_IF_ERROR(watch.Abort("pagelift abort"));
    while (!IsOver(progress)) {
      absl::SleepFor(kBetweenLooks);
      ASSIGN_OR_RETURN(progress, watch.Get());
    }
  }
  if (!RunsHere(progress)) {
    return absl::FailedPreconditionError(
        "it is past the commit point: the process runs at the destination");
  }
  return progress;
}

}  // namespace

int AbortCommand(int argc, const char* const argv[]) {
  std::string id;
  std::string state = kDefaultMigrations;
  CommandLine line("pagelift abort",
                   "Has a process that `pagelift migrate` moves stay here, and "
                   "returns when it runs again.");
  line.AddPositional(
      {"ID", "the migration's, as `pagelift migrate` says", &id});
  line.Add({"state", 0, "DIR",
            absl::StrCat(
                "as of `pagelift migrate` (default: ", kDefaultMigrations, ")"),
            &state});
  line.Examples(
      "Exit codes: 0 it runs here, 1 it does not and why: past the commit "
      "point there is no way\nback, 2 wrong usage.\n\n"
      "Examples:\n"
      "  pagelift abort 6f1c0a52b7d94e3f8a1b2c3d4e5f6071\n");
  if (std::optional<int> exit_code = line.ParseOrExitCode(argc, argv)) {
    return *exit_code;
  }
  KeepGrpcToTheEnd();
  const absl::StatusOr<v1::MigrationProgress> aborted =
      Abort({absl::StrCat(state, "/", id)});
  if (!aborted.ok()) {
    fprintf(stderr, "pagelift abort: %s\n",
            std::string(aborted.status().message()).c_str());
    return 1;
  }
  fputs(MigrationSummary(*aborted).c_str(), stdout);
  return 0;
}

}  // namespace pagelift
