#include "client/cli/session_report.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "client/cli/human_units.h"
#include "lib/base/json_string.h"
#include "lib/memory/page.h"

namespace pagelift {
namespace {

std::string Pages(uint64_t pages) { return HumanBytes(pages * kPageSize); }

uint64_t Percent(const v1::SessionStatus& s) {
  if (s.state() == "complete") return 100;
  if (s.pages_total() == 0) return 0;
  return 100 *
         (s.pages_total() - std::min(s.pages_missing(), s.pages_total())) /
         s.pages_total();
}

}  // namespace

std::string SessionTable(const std::vector<v1::SessionStatus>& sessions) {
  if (sessions.empty()) return "no sessions\n";
  std::string out = absl::StrFormat(
      "%-8s %-17s %5s %10s %8s %9s %9s %9s  %s\n", "SESSION", "STATE", "DONE",
      "MISSING", "FAULTS", "P50", "P99", "RECEIVED", "SOURCE");
  for (const v1::SessionStatus& s : sessions) {
    absl::StrAppendFormat(&out, "%-8s %-17s %4u%% %10s %8u %9s %9s %9s  %s\n",
                          s.session(), s.state(), Percent(s),
                          Pages(s.pages_missing()), s.faults(),
                          HumanMicroseconds(s.fault_latency().p50_us()),
                          HumanMicroseconds(s.fault_latency().p99_us()),
                          HumanBytes(s.bytes_received()), s.source());
    if (!s.trouble().empty()) absl::StrAppend(&out, "  ! ", s.trouble(), "\n");
  }
  return out;
}

std::string SessionSummary(const v1::SessionStatus& s) {
  const v1::LatencySummary& l = s.fault_latency();
  std::string out = absl::StrFormat(
      "%s after %s: %s installed, %s zero, %s over the network\n", s.state(),
      HumanMicroseconds(s.time_to_complete_ms() * 1000),
      Pages(s.pages_installed()), Pages(s.pages_zeroed()),
      HumanBytes(s.bytes_received()));
  absl::StrAppendFormat(
      &out, "%u faults, %u of them fetched: p50 %s, p99 %s, longest %s\n",
      s.faults(), s.demand_fetches(), HumanMicroseconds(l.p50_us()),
      HumanMicroseconds(l.p99_us()), HumanMicroseconds(l.max_us()));
  if (s.forks() + s.remaps() + s.removes() + s.unmaps() > 0) {
    absl::StrAppendFormat(&out, "%u forks, %u remaps, %u removes, %u unmaps\n",
                          s.forks(), s.remaps(), s.removes(), s.unmaps());
  }
  if (!s.trouble().empty()) absl::StrAppend(&out, s.trouble(), "\n");
  return out;
}

std::string ProgressLine(const v1::SessionStatus& s) {
  return absl::StrFormat("%3u%%  %s left, %u faults%s%s", Percent(s),
                         Pages(s.pages_missing()), s.faults(),
                         s.trouble().empty() ? "" : ", ", s.trouble());
}

std::string SessionJson(const v1::SessionStatus& s,
                        std::optional<uint64_t> time_to_running_ms) {
  std::vector<std::string> members;
  auto text = [&](absl::string_view name, const std::string& value) {
    members.push_back(absl::StrCat("\"", name, "\":", JsonString(value)));
  };
  auto number = [&](absl::string_view name, uint64_t value) {
    members.push_back(absl::StrCat("\"", name, "\":", value));
  };
  text("session", s.session());
  text("source", s.source());
  text("work_dir", s.work_dir());
  text("state", s.state());
  text("trouble", s.trouble());
  text("prefetch", s.prefetch());
  if (time_to_running_ms.has_value()) {
    number("time_to_running_ms", *time_to_running_ms);
  }
  number("time_to_complete_ms", s.time_to_complete_ms());
  number("age_ms", s.age_ms());
  number("address_spaces", s.address_spaces());
  number("pages_total", s.pages_total());
  number("pages_missing", s.pages_missing());
  number("pages_installed", s.pages_installed());
  number("pages_zeroed", s.pages_zeroed());
  number("pages_lost", s.pages_lost());
  number("faults", s.faults());
  number("demand_fetches", s.demand_fetches());
  number("late_faults", s.late_faults());
  number("bytes_received", s.bytes_received());
  number("forks", s.forks());
  number("remaps", s.remaps());
  number("removes", s.removes());
  number("unmaps", s.unmaps());
  number("checksum_failures", s.checksum_failures());
  number("reconnects", s.reconnects());
  number("hedges", s.hedges());
  number("hedges_won", s.hedges_won());
  number("failovers", s.failovers());
  const v1::LatencySummary& l = s.fault_latency();
  members.push_back(absl::StrFormat(
      "\"fault_latency_us\":{\"count\":%u,\"p50\":%u,\"p90\":%u,\"p99\":%u,"
      "\"p99.9\":%u,\"max\":%u}",
      l.count(), l.p50_us(), l.p90_us(), l.p99_us(), l.p999_us(), l.max_us()));
  return absl::StrCat("{", absl::StrJoin(members, ","), "}");
}

std::string SessionsJson(const std::vector<v1::SessionStatus>& sessions) {
  std::vector<std::string> objects;
  for (const v1::SessionStatus& session : sessions) {
    objects.push_back(SessionJson(session));
  }
  return absl::StrCat("{\"sessions\":[", absl::StrJoin(objects, ","), "]}\n");
}

std::string StatusJson(const std::vector<v1::SessionStatus>& sessions,
                       const v1::DaemonStatus& daemon) {
  std::string json = SessionsJson(sessions);
  json.resize(json.size() - 2);  // "}\n"
  absl::StrAppend(&json, ",\"daemon\":{\"holder_pid\":", daemon.holder_pid(),
                  ",\"worker_pid\":", daemon.worker_pid(),
                  ",\"crashes\":", daemon.crashes(),
                  ",\"upgrades\":", daemon.upgrades(), "}}\n");
  return json;
}

std::string DaemonLine(const v1::DaemonStatus& daemon) {
  if (daemon.crashes() == 0) return "";
  return absl::StrCat("pageliftd has crashed ", daemon.crashes(),
                      daemon.crashes() == 1 ? " time" : " times",
                      " and gone on; its log tells how\n");
}

}  // namespace pagelift
