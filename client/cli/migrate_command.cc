#include <signal.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "client/cli/commands.h"
#include "client/cli/human_units.h"
#include "client/cli/local_address.h"
#include "client/cli/migrate_options.h"
#include "client/cli/migration_list.h"
#include "client/cli/migration_report.h"
#include "client/cli/migration_watch.h"
#include "client/cli/programs.h"
#include "daemon/migration/outgoing/tree_needs.h"
#include "daemon/migration/wire/migration_client.h"
#include "daemon/pager/session/lost_source.h"
#include "lib/base/json_string.h"
#include "lib/base/random_id.h"
#include "lib/base/status_macros.h"
#include "lib/memory/page.h"
#include "lib/migration/private_directory.h"
#include "lib/migration/record_file.h"
#include "lib/prefetch/prefetch_mode.h"
#include "lib/process/fd_channel.h"
#include "lib/process/find_program.h"
#include "lib/process/process_name.h"
#include "lib/process/service.h"
#include "lib/tls/tls_credentials.h"
#include "lib/transport/endpoint.h"
#include "lib/transport/grpc_lifetime.h"
#include "pagelift/v1/migration_record.pb.h"

namespace pagelift {
namespace {

constexpr absl::Duration kBetweenLooks = absl::Milliseconds(20);
constexpr absl::Duration kBetweenRates = absl::Milliseconds(500);
constexpr int kNotOver = 3;

absl::StatusOr<v1::MigrationPlan> MakePlan(const MigrateOptions& options) {
  v1::MigrationPlan plan;
  plan.set_id(NewRandomId());
  plan.set_image(NewRandomId());
  ASSIGN_OR_RETURN(const ProcessName root, NameOfProcess(options.pid));
  plan.set_pid(root.pid);
  plan.set_start_ticks(root.start_ticks);
  plan.set_destination(options.to);
  plan.set_tls(!options.tls.empty());
  plan.set_tls_directory(options.tls);
  plan.set_server_name(options.server_name);
  plan.set_certified_as(options.certified_as);
  plan.set_listen(options.listen);
  if (options.listen.empty()) {
    ASSIGN_OR_RETURN(const std::string host, LocalAddressTowards(options.to));
    plan.set_listen(absl::StrCat(host, ":0"));
  }
  plan.set_keep_in_memory(options.spool == "memory");
  if (options.spool != "memory" && options.spool != "none") {
    plan.set_spool_directory(options.spool);
  }
  plan.set_spool_after_ms(
      static_cast<uint64_t>(absl::ToInt64Milliseconds(options.spool_after)));
  ASSIGN_OR_RETURN(*plan.mutable_criu(), FindCriu(options.criu));
  *plan.mutable_criu_options() = {options.dump_options.begin(),
                                  options.dump_options.end()};
  *plan.mutable_restore_options() = {options.restore_options.begin(),
                                     options.restore_options.end()};
  plan.set_hook(options.hook);
  plan.set_prefetch(ToString(options.prefetch));
  plan.set_when_unavailable(ToString(options.when_unavailable));
  plan.set_unavailable_after_ms(static_cast<uint64_t>(
      absl::ToInt64Milliseconds(options.unavailable_after)));
  plan.set_give_up_after_ms(
      static_cast<uint64_t>(absl::ToInt64Milliseconds(options.give_up_after)));
  return plan;
}

// --- --dry-run ---------------------------------------------------------------

struct Checked {
  v1::PrepareRequest needs;
  std::vector<std::string> here;
  std::vector<std::string> there;
};

absl::StatusOr<Checked> CheckBoth(const v1::MigrationPlan& plan) {
  Checked checked;
  ASSIGN_OR_RETURN(checked.needs, TreeNeeds(plan.pid(), plan.criu()));
  checked.here =
      ObstaclesHere(plan.pid(), checked.needs, plan.keep_in_memory());
  std::optional<Endpoint> endpoint(plan.destination());
  if (plan.tls()) {
    ASSIGN_OR_RETURN(std::shared_ptr<TlsCredentials> tls,
                     TlsCredentials::Load(plan.tls_directory(),
                                          TlsCredentials::End::kClient));
    endpoint.emplace(plan.destination(), std::move(tls), plan.server_name());
  }
  MigrationClient client(*endpoint, plan.id());
  v1::PrepareRequest request = checked.needs;
  request.set_dry_run(true);
  const absl::StatusOr<v1::PrepareResponse> answer =
      client.Prepare(std::move(request), absl::Seconds(2));
  if (answer.ok()) {
    checked.there.assign(answer->obstacles().begin(),
                         answer->obstacles().end());
  } else {
    checked.there.emplace_back(answer.status().message());
  }
  return checked;
}

int DryRun(const MigrateOptions& options, const v1::MigrationPlan& plan) {
  const absl::StatusOr<Checked> checked = CheckBoth(plan);
  if (!checked.ok()) {
    fprintf(stderr, "pagelift migrate: %s\n",
            std::string(checked.status().message()).c_str());
    return 1;
  }
  const bool could = checked->here.empty() && checked->there.empty();
  if (options.json) {
    auto list = [](const std::vector<std::string>& texts) {
      std::string json;
      for (const std::string& text : texts) {
        absl::StrAppend(&json, json.empty() ? "" : ",", JsonString(text));
      }
      return absl::StrCat("[", json, "]");
    };
    printf("{\"could\":%s,\"memory_bytes\":%lu,\"here\":%s,\"there\":%s}\n",
           could ? "true" : "false",
           static_cast<unsigned long>(checked->needs.memory_bytes()),
           list(checked->here).c_str(), list(checked->there).c_str());
    return could ? 0 : 1;
  }
  for (const std::string& obstacle : checked->here) {
    printf("here: %s\n", obstacle.c_str());
  }
  for (const std::string& obstacle : checked->there) {
    printf("there: %s\n", obstacle.c_str());
  }
  if (could) {
    printf("process %d, with %s in memory, could run at %s\n", plan.pid(),
           HumanBytes(checked->needs.memory_bytes()).c_str(),
           plan.destination().c_str());
  }
  return could ? 0 : 1;
}

// --- Following it ------------------------------------------------------------

// How fast pages arrive there.
class Rate {
 public:
  double Of(const v1::MigrationProgress& progress) {
    const absl::Time now = absl::Now();
    const uint64_t missing = progress.destination().pages_missing();
    if (now - since_ >= kBetweenRates) {
      if (missing_ > missing) {
        rate_ = static_cast<double>((missing_ - missing) * kPageSize) /
                absl::ToDoubleSeconds(now - since_);
      }
      missing_ = missing;
      since_ = now;
    }
    return rate_;
  }

 private:
  absl::Time since_ = absl::InfinitePast();
  uint64_t missing_ = 0;
  double rate_ = 0;
};

class Follower {
 public:
  Follower(const MigrateOptions& options, MigrationWatch& watch)
      : options_(options),
        watch_(watch),
        terminal_(!options.json && isatty(STDERR_FILENO) != 0) {}

  absl::StatusOr<v1::MigrationProgress> Run(StopSignals& signals) {
    while (true) {
      ASSIGN_OR_RETURN(const v1::MigrationProgress progress, watch_.Get());
      Tell(progress);
      if (IsOver(progress) || (options_.no_wait && RunsThere(progress))) {
        if (terminal_) fprintf(stderr, "\r\033[K");
        return progress;
      }
      if (signals.Wait(kBetweenLooks).has_value() && Stop()) return progress;
    }
  }

 private:
  void Tell(const v1::MigrationProgress& progress) {
    if (options_.json) {
      v1::MigrationProgress changing = progress;
      changing.clear_age_ms();
      const std::string now = changing.SerializeAsString();
      if (now != told_) {
        printf("%s\n", MigrationJson(progress).c_str());
        fflush(stdout);
      }
      told_ = now;
    } else if (terminal_) {
      fprintf(stderr, "\r\033[K%s",
              MigrationLine(progress, rate_.Of(progress)).c_str());
    } else if (progress.state() != told_) {
      fprintf(stderr, "%s\n", progress.state().c_str());
      told_ = progress.state();
    }
  }

  // Somebody wants us to end: whether we do.
  bool Stop() {
    const absl::Status aborted = watch_.Abort("it was interrupted");
    if (aborted.ok()) return false;  // Until it runs here again.
    fprintf(stderr, "%spagelift migrate: %s; it goes on without us\n",
            terminal_ ? "\r\033[K" : "",
            std::string(aborted.message()).c_str());
    return true;
  }

  const MigrateOptions& options_;
  MigrationWatch& watch_;
  const bool terminal_;
  Rate rate_;
  std::string told_;
};

// Its server, if nobody is at it and it is not over.
absl::Status StartServer(const MigrationPlace& place) {
  if (FdChannel::Connect(place.socket()).ok()) return absl::OkStatus();
  ASSIGN_OR_RETURN(const std::optional<v1::MigrationProgress> result,
                   ReadRecord<v1::MigrationProgress>(place.directory,
                                                     MigrationPlace::kResult));
  if (result.has_value()) return absl::OkStatus();
  return StartService(
      {SiblingProgram("pagelift-server"), "migrate", place.directory},
      place.log());
}

absl::StatusOr<MigrationPlace> Begin(const MigrateOptions& options,
                                     const v1::MigrationPlan& plan) {
  const MigrationPlace place{absl::StrCat(options.state, "/", plan.id())};
  RETURN_IF_ERROR(MakePrivateDirectory(options.state));
  RETURN_IF_ERROR(MakePrivateDirectory(place.directory));
  RETURN_IF_ERROR(WriteRecord(place.directory, MigrationPlace::kPlan, plan));
  return place;
}

absl::StatusOr<MigrationPlace> PlaceToResume(const MigrateOptions& options) {
  const MigrationPlace place{absl::StrCat(options.state, "/", options.resume)};
  ASSIGN_OR_RETURN(
      const std::optional<v1::MigrationPlan> plan,
      ReadRecord<v1::MigrationPlan>(place.directory, MigrationPlace::kPlan));
  if (!plan.has_value()) {
    return absl::NotFoundError(absl::StrCat(
        "there is no migration ", options.resume, " in ", options.state));
  }
  return place;
}

absl::StatusOr<v1::MigrationProgress> Migrate(const MigrateOptions& options,
                                              const MigrationPlace& place,
                                              StopSignals& signals) {
  MigrationWatch watch(place);
  RETURN_IF_ERROR(StartServer(place));
  if (!options.json) {
    fprintf(stderr, "migration %s\n",
            std::filesystem::path(place.directory).filename().c_str());
  }
  return Follower(options, watch).Run(signals);
}

int List(const MigrateOptions& options) {
  const absl::StatusOr<std::vector<KnownMigration>> known =
      KnownMigrations(options.state);
  if (!known.ok()) {
    fprintf(stderr, "pagelift migrate: %s\n",
            std::string(known.status().message()).c_str());
    return 1;
  }
  fputs(
      (options.json ? MigrationsJson(*known) : MigrationsTable(*known)).c_str(),
      stdout);
  return 0;
}

int Run(const MigrateOptions& options) {
  // Our own signals: what we start must not have them blocked, and has not.
  StopSignals signals;
  KeepGrpcToTheEnd();
  absl::StatusOr<MigrationPlace> place;
  if (options.resume.empty()) {
    const absl::StatusOr<v1::MigrationPlan> plan = MakePlan(options);
    if (plan.ok() && options.dry_run) return DryRun(options, *plan);
    place = plan.ok() ? Begin(options, *plan) : plan.status();
  } else {
    place = PlaceToResume(options);
  }
  const absl::StatusOr<v1::MigrationProgress> ended =
      place.ok() ? Migrate(options, *place, signals) : place.status();
  if (!ended.ok()) {
    fprintf(stderr, "pagelift migrate: %s\n",
            std::string(ended.status().message()).c_str());
    return absl::IsUnavailable(ended.status()) ? kNotOver : 1;
  }
  if (!options.json) {
    fputs(MigrationSummary(*ended).c_str(), RunsHere(*ended) ? stderr : stdout);
  }
  if (RunsThere(*ended)) {
    return ended->destination().pages_lost() == 0 ? 0 : 1;
  }
  return RunsHere(*ended) ? 1 : kNotOver;
}

}  // namespace

int MigrateCommand(int argc, const char* const argv[]) {
  MigrateOptions options;
  if (std::optional<int> exit_code =
          ParseMigrateOptions(argc, argv, &options)) {
    return *exit_code;
  }
  return options.list ? List(options) : Run(options);
}

}  // namespace pagelift
