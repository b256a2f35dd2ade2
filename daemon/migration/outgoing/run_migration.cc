#include "daemon/migration/outgoing/run_migration.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "daemon/migration/outgoing/host_source_work.h"
#include "daemon/migration/outgoing/migration_place.h"
#include "daemon/migration/outgoing/outgoing_migration.h"
#include "daemon/migration/outgoing/progress_service.h"
#include "daemon/pager/control/control_door.h"
#include "grpcpp/grpcpp.h"
#include "lib/base/command_line.h"
#include "lib/base/log.h"
#include "lib/base/status_macros.h"
#include "lib/base/sys_error.h"
#include "lib/migration/record_file.h"
#include "lib/migration/source_protocol.h"
#include "lib/process/guard.h"
#include "lib/process/process_name.h"
#include "lib/process/service.h"
#include "lib/transport/grpc_lifetime.h"
#include "lib/transport/grpc_log.h"
#include "pagelift/v1/migration_record.pb.h"

namespace pagelift {
namespace {

// So long whoever watches may take to learn how it ended.
constexpr absl::Duration kLinger = absl::Seconds(3);
// How often we look whether we are to stop.
constexpr absl::Duration kLook = absl::Milliseconds(200);
constexpr absl::Duration kBetweenTries = absl::Seconds(1);

struct Options {
  MigrationPlace place;
  int ready_fd = -1;
};

std::optional<int> ParseOptions(int argc, const char* const argv[],
                                Options* options) {
  CommandLine line("pagelift-server migrate",
                   "Carries out one migration; started by `pagelift migrate`.");
  line.AddPositional({"DIR", "where its plan is", &options->place.directory});
  line.Add({"ready-fd", 0, "N",
            "write a newline to this descriptor, and close it, when it can be "
            "asked how far it is",
            &options->ready_fd});
  return line.ParseOrExitCode(argc, argv);
}

// Until it is done. kCancelled: we are to stop, it runs here, and somebody else
// may tell the destination.
absl::Status Await(OutgoingMigration& migration, StopSignals& signals) {
  bool to_end = false;
  while (!migration.WaitUntilDone(kLook)) {
    if (signals.Wait(absl::ZeroDuration()).has_value()) {
      to_end = true;
      // Where it can, it stays here. Else there may be no other copy of its
      // memory than ours: we end when the destination has it.
      const absl::Status aborted =
          migration.Abort("the server of the migration was told to end");
      if (!aborted.ok()) {
        LOG(Warning) << "told to end: " << aborted.message()
                     << "; this ends when all memory is there";
      }
    }
    if (to_end && migration.Describe().runs_here()) {
      return absl::CancelledError(
          "told to end: `pagelift migrate --resume` tells the destination");
    }
  }
  return absl::OkStatus();
}

// One server at a time is at a migration; as long as what is returned is open.
absl::StatusOr<UniqueFd> Lock(const MigrationPlace& place) {
  const std::string path = place.directory + "/lock";
  UniqueFd fd(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!fd.valid()) return SysError("open ", path);
  if (flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return SysError("lock ", path);
    return absl::AlreadyExistsError(absl::StrCat(
        "another server is at the migration in ", place.directory));
  }
  return fd;
}

// Whether there may be no copy of the memory but what we hold.
bool IsCommitted(const MigrationPlace& place) {
  const auto record =
      ReadRecord<v1::SourceRecord>(place.directory, MigrationPlace::kRecord);
  if (!record.ok() || !record->has_value()) return false;
  const std::string& state = (*record)->state();
  return state == ToString(SourceRecorded::kCommitted) ||
         state == ToString(SourceRecorded::kResumed) ||
         state == ToString(SourceRecorded::kSpooled);
}

absl::Status ServeOnce(const Options& options, const GuardedLife& life,
                       StopSignals& signals, bool* told_ready) {
  const MigrationPlace& place = options.place;
  ASSIGN_OR_RETURN(
      const std::optional<v1::MigrationPlan> plan,
      ReadRecord<v1::MigrationPlan>(place.directory, MigrationPlace::kPlan));
  if (!plan.has_value()) {
    return absl::NotFoundError(
        absl::StrCat(place.directory, " has no plan of a migration"));
  }
  ASSIGN_OR_RETURN(const ProcessName guard, NameOfProcess(life.guard));
  ASSIGN_OR_RETURN(std::unique_ptr<HostSourceWork> work,
                   HostSourceWork::Open(*plan, place, guard));
  HostSourceWork& host = *work;
  ASSIGN_OR_RETURN(
      const std::unique_ptr<OutgoingMigration> migration,
      OutgoingMigration::Open(plan->id(), place.directory, std::move(work)));
  ProgressService service(*migration);
  grpc::ServerBuilder builder;
  builder.RegisterService(&service);
  const std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  if (server == nullptr) return absl::InternalError("cannot start a server");
  ASSIGN_OR_RETURN(const FdListener listener,
                   ControlDoor::Listen(place.socket(), UniqueFd()));
  ASSIGN_OR_RETURN(const std::unique_ptr<ControlDoor> door,
                   ControlDoor::Open(listener, *server));
  if (life.number == 0 && !*told_ready) {
    // Whoever started us may have been killed: that changes nothing.
    TellReady(options.ready_fd, '\n').IgnoreError();
    *told_ready = true;
  }
  RETURN_IF_ERROR(Await(*migration, signals));
  const v1::MigrationProgress result = migration->Describe();
  RETURN_IF_ERROR(
      WriteRecord(place.directory, MigrationPlace::kResult, result));
  RETURN_IF_ERROR(host.Forget());
  service.WaitUntilEndWasTold(kLinger);
  return absl::OkStatus();
}

absl::Status Serve(const Options& options, const GuardedLife& life,
                   StopSignals& signals) {
  RouteGrpcLog();
  KeepGrpcToTheEnd();
  ASSIGN_OR_RETURN(const UniqueFd lock, Lock(options.place));
  bool told_ready = false;
  while (true) {
    absl::Status status = ServeOnce(options, life, signals, &told_ready);
    if (status.ok() || !IsCommitted(options.place)) return status;
    // To end now would be to lose what the guard holds.
    LOG(Error) << status.message() << "; tried again";
    absl::SleepFor(kBetweenTries);
  }
}

// What those before this one have left open for it.
std::vector<int> ToKeep(const std::string& directory) {
  std::vector<int> keep;
  const auto noted =
      ReadNote<v1::SourceDescriptors>(directory, MigrationPlace::kDescriptors);
  if (!noted.ok() || !noted->has_value()) return keep;
  keep = {(*noted)->leash(), (*noted)->spool()};
  for (const v1::FrozenTask& task : (*noted)->tasks()) {
    keep.insert(keep.end(), {task.pidfd(), task.memory_fd()});
  }
  return keep;
}

}  // namespace

int RunMigration(int argc, char* argv[]) {
  Options options;
  if (std::optional<int> exit_code = ParseOptions(argc, argv, &options)) {
    return *exit_code;
  }
  return RunGuarded("pagelift-guard", [&](const GuardedLife& life) {
    if (life.number > 0) CloseAllBut(ToKeep(options.place.directory));
    return RunService(
        "pagelift-server migrate", {options.place.log()},
        [&](StopSignals& signals) { return Serve(options, life, signals); });
  });
}

}  // namespace pagelift
