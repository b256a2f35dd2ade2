#include "client/cli/migration_list.h"

#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <optional>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "client/cli/human_units.h"
#include "daemon/migration/outgoing/migration_place.h"
#include "lib/base/json_string.h"
#include "lib/base/log.h"
#include "lib/base/status_macros.h"
#include "lib/base/sys_error.h"
#include "lib/migration/record_file.h"
#include "pagelift/v1/migration_record.pb.h"

namespace pagelift {
namespace {

absl::StatusOr<KnownMigration> Read(const std::string& directory,
                                    const v1::MigrationPlan& plan) {
  KnownMigration known;
  known.id = plan.id();
  known.pid = plan.pid();
  known.destination = plan.destination();
  known.state = "planned";
  struct stat info;
  if (stat(absl::StrCat(directory, "/", MigrationPlace::kPlan).c_str(),
           &info) == 0) {
    known.planned_unix_seconds = info.st_mtime;
  }
  ASSIGN_OR_RETURN(
      const std::optional<v1::SourceRecord> record,
      ReadRecord<v1::SourceRecord>(directory, MigrationPlace::kRecord));
  if (record.has_value()) {
    known.state = record->state();
    known.downtime_ms = record->downtime_ms();
    known.reason = record->reason();
  }
  return known;
}

}  // namespace

absl::StatusOr<std::vector<KnownMigration>> KnownMigrations(
    const std::string& state) {
  std::vector<KnownMigration> found;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(state, error)) {
    const std::string directory = entry.path().string();
    const absl::StatusOr<std::optional<v1::MigrationPlan>> plan =
        ReadRecord<v1::MigrationPlan>(directory, MigrationPlace::kPlan);
    // The others are told of all the same.
    if (absl::IsDataLoss(plan.status())) {
      LOG(Warning) << plan.status().message();
      continue;
    }
    RETURN_IF_ERROR(plan.status());
    if (!plan->has_value()) continue;
    ASSIGN_OR_RETURN(KnownMigration known, Read(directory, **plan));
    found.push_back(std::move(known));
  }
  if (error && error != std::errc::no_such_file_or_directory) {
    return SysErrorOf(error.value(), "read ", state);
  }
  std::sort(found.begin(), found.end(),
            [](const KnownMigration& a, const KnownMigration& b) {
              return a.planned_unix_seconds < b.planned_unix_seconds;
            });
  return found;
}

std::string MigrationsTable(const std::vector<KnownMigration>& known) {
  if (known.empty()) return "no migrations\n";
  std::string out = absl::StrFormat("%-32s  %-9s  %7s  %9s  %s\n", "ID",
                                    "STATE", "PID", "STOPPED", "TO");
  for (const KnownMigration& m : known) {
    absl::StrAppendFormat(
        &out, "%-32s  %-9s  %7d  %9s  %s\n", m.id, m.state, m.pid,
        m.downtime_ms == 0 ? "" : HumanMicroseconds(1000 * m.downtime_ms),
        m.destination);
    if (!m.reason.empty()) absl::StrAppend(&out, "  ! ", m.reason, "\n");
  }
  return out;
}

std::string MigrationsJson(const std::vector<KnownMigration>& known) {
  std::vector<std::string> objects;
  for (const KnownMigration& m : known) {
    objects.push_back(absl::StrCat(
        "{\"id\":", JsonString(m.id), ",\"state\":", JsonString(m.state),
        ",\"pid\":", m.pid, ",\"destination\":", JsonString(m.destination),
        ",\"downtime_ms\":", m.downtime_ms,
        ",\"reason\":", JsonString(m.reason),
        ",\"planned_unix_seconds\":", m.planned_unix_seconds, "}"));
  }
  return absl::StrCat("{\"migrations\":[", absl::StrJoin(objects, ","), "]}\n");
}

}  // namespace pagelift
