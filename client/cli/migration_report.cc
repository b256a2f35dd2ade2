#include "client/cli/migration_report.h"

#include <algorithm>
#include <cstdint>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "client/cli/human_units.h"
#include "lib/base/json_string.h"
#include "lib/memory/page.h"

namespace pagelift {
namespace {

std::string Pages(uint64_t pages) { return HumanBytes(pages * kPageSize); }

std::string Downtime(const v1::MigrationProgress& progress) {
  return HumanMicroseconds(1000 * progress.downtime_ms());
}

}  // namespace

bool RunsThere(const v1::MigrationProgress& progress) {
  const std::string& state = progress.state();
  return state == "spooling" || state == "draining" || state == "releasing" ||
         state == "released";
}

bool IsOver(const v1::MigrationProgress& progress) {
  return progress.state() == "released" || RunsHere(progress);
}

bool RunsHere(const v1::MigrationProgress& progress) {
  return progress.state() == "aborted" || progress.runs_here();
}

std::string MigrationLine(const v1::MigrationProgress& progress,
                          double bytes_per_second) {
  std::string line = absl::StrFormat("%-10s", progress.state());
  const v1::GetMigrationResponse& there = progress.destination();
  if (RunsThere(progress) && there.pages_total() > 0) {
    const uint64_t left = std::min(there.pages_missing(), there.pages_total());
    absl::StrAppendFormat(
        &line, " %3u%%  %s left",
        100 * (there.pages_total() - left) / there.pages_total(), Pages(left));
    if (bytes_per_second > 0) {
      const double seconds =
          static_cast<double>(left * kPageSize) / bytes_per_second;
      absl::StrAppendFormat(
          &line, ", %s/s, %s to go",
          HumanBytes(static_cast<uint64_t>(bytes_per_second)),
          HumanMicroseconds(static_cast<uint64_t>(1e6 * seconds)));
    }
    absl::StrAppendFormat(&line, ", %u faults", there.faults());
  } else if (progress.downtime_ms() > 0) {
    absl::StrAppend(&line, " stopped for ", Downtime(progress));
  }
  const std::string& trouble =
      progress.trouble().empty() ? there.trouble() : progress.trouble();
  if (!trouble.empty()) absl::StrAppend(&line, ", ", trouble);
  return line;
}

std::string MigrationSummary(const v1::MigrationProgress& progress) {
  if (RunsHere(progress)) {
    return absl::StrCat("runs here, after it was stopped for ",
                        Downtime(progress), ": ", progress.reason(), "\n",
                        progress.state() == "aborted"
                            ? ""
                            : "the destination has not heard of that yet, and "
                              "is told in the background\n");
  }
  const v1::GetMigrationResponse& there = progress.destination();
  std::string out = absl::StrFormat(
      "%s: stopped for %s, %s over the network, %s in all\n",
      progress.state() == "released" ? "runs there, with all its memory"
                                     : "runs there",
      Downtime(progress), HumanBytes(there.bytes_received()),
      HumanMicroseconds(1000 * progress.age_ms()));
  absl::StrAppendFormat(&out, "%u faults: p50 %s, p99 %s\n", there.faults(),
                        HumanMicroseconds(there.fault_p50_us()),
                        HumanMicroseconds(there.fault_p99_us()));
  if (there.pages_lost() > 0) {
    absl::StrAppendFormat(&out, "%u pages are lost\n", there.pages_lost());
  }
  return out;
}

std::string MigrationJson(const v1::MigrationProgress& progress) {
  std::vector<std::string> members;
  auto text = [&](absl::string_view name, const std::string& value) {
    members.push_back(absl::StrCat("\"", name, "\":", JsonString(value)));
  };
  auto number = [&](absl::string_view name, uint64_t value) {
    members.push_back(absl::StrCat("\"", name, "\":", value));
  };
  const v1::GetMigrationResponse& there = progress.destination();
  text("id", progress.id());
  text("state", progress.state());
  text("reason", progress.reason());
  text("trouble", progress.trouble());
  number("age_ms", progress.age_ms());
  number("downtime_ms", progress.downtime_ms());
  number("pages_total", progress.pages_total());
  number("pages_spooled", progress.pages_spooled());
  members.push_back(
      absl::StrCat("\"runs_here\":", RunsHere(progress) ? "true" : "false"));
  members.push_back(
      absl::StrCat("\"spooled\":", progress.spooled() ? "true" : "false"));
  text("destination_state", there.state());
  text("destination_trouble", there.trouble());
  text("session_state", there.session_state());
  number("pages_missing", there.pages_missing());
  number("pages_lost", there.pages_lost());
  number("faults", there.faults());
  number("bytes_received", there.bytes_received());
  number("fault_p50_us", there.fault_p50_us());
  number("fault_p99_us", there.fault_p99_us());
  std::vector<std::string> phases;
  for (const v1::MigrationProgress::Phase& phase : progress.phases()) {
    phases.push_back(absl::StrCat("{\"name\":", JsonString(phase.name()),
                                  ",\"micros\":", phase.micros(), "}"));
  }
  members.push_back(
      absl::StrCat("\"phases\":[", absl::StrJoin(phases, ","), "]"));
  return absl::StrCat("{", absl::StrJoin(members, ","), "}");
}

}  // namespace pagelift
